//! A plan on its way into a file.

use super::file::{PlanHead, PlanWriter};
use super::{PlanAccount, PlanItem, PlanSink, PlanSource, PlanTotals};
use bothways_model::Secret;
use std::io::{self, Write};

/// Takes a plan in and writes it as a plan file.
pub struct PlanSaver<W: Write> {
    head: PlanHead,
    secret: Option<Secret>,
    state: State<W>,
}

enum State<W: Write> {
    Waiting(W),
    Writing(PlanWriter<W>),
    Failed(io::Error),
}

impl<W: Write> PlanSaver<W> {
    /// A file of the plan of `source`. Without a secret of the installation the values are shown, whatever `values` says: there is
    /// nothing else by which they could be told apart later.
    pub fn new(
        out: W,
        source: &PlanSource,
        by: &str,
        values: bool,
        secret: Option<Secret>,
        salt: String,
    ) -> Self {
        let values = values || secret.is_none();
        let head = PlanHead {
            format: 0,
            mapping: source.pair.mapping.name.clone(),
            connection: source.pair.connection.0.clone(),
            mapping_digest: source.pair.mapping_digest.clone(),
            account: None,
            mode: String::new(),
            made_at: source.clock.now(),
            by: by.to_owned(),
            values,
            keyed: secret.is_some(),
            salt,
        };
        Self { head, secret, state: State::Waiting(out) }
    }

    /// Seals the file.
    ///
    /// # Errors
    /// It could not be written.
    pub fn end(self, totals: &PlanTotals) -> io::Result<W> {
        match self.state {
            State::Writing(writer) => writer.end(totals),
            State::Waiting(_) => Err(io::Error::other("the plan was never begun")),
            State::Failed(error) => Err(error),
        }
    }

    fn step(&mut self, step: impl FnOnce(&mut Self) -> io::Result<()>) {
        if let Err(error) = step(self) {
            self.state = State::Failed(error);
        }
    }
}

impl<W: Write + Send> PlanSink for PlanSaver<W> {
    fn begin(&mut self, account: &PlanAccount) {
        self.head.account = account.id.as_ref().map(|id| id.0.clone());
        self.head.mode = account.mode.as_str().to_owned();
        let waiting = std::mem::replace(&mut self.state, State::Failed(io::ErrorKind::Other.into()));
        self.step(|saver| {
            if let State::Waiting(out) = waiting {
                saver.state = State::Writing(PlanWriter::begin(out, &saver.head, saver.secret.as_ref())?);
            }
            Ok(())
        });
    }

    fn item(&mut self, item: PlanItem) {
        self.step(|saver| match &mut saver.state {
            State::Writing(writer) => writer.item(&item),
            State::Waiting(_) | State::Failed(_) => Ok(()),
        });
    }
}
