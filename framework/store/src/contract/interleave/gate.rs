//! The gate at which a store call stands still before each of its steps, and the call behind it.

use crate::{Result, StoreErrorKind};
use futures::future::BoxFuture;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

/// What a store call is about to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Point {
    /// Wait for its turn among the writers of its own process.
    Turn {
        /// Whether it needs what it commits to be on the disk when the commit returns.
        durable: bool,
    },
    /// Begin a transaction that writes.
    Begin,
    /// Run a statement.
    Statement(String),
    /// Commit.
    Commit,
}

impl Point {
    /// Whether it only reads.
    fn reads(&self) -> bool {
        match self {
            Point::Statement(sql) => {
                let first = sql.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
                matches!(first.as_str(), "SELECT" | "EXPLAIN" | "PRAGMA" | "SAVEPOINT")
            }
            _ => false,
        }
    }
}

/// Stands before every step of one store call. The store calls [`Gate::pass`]; the driver opens it step by step.
#[derive(Default)]
pub struct Gate(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    at: Option<Point>,
    open: bool,
    always: bool,
    durable: bool,
    begun: bool,
}

impl Gate {
    /// A gate that nobody has to open.
    pub fn always_open() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Inner { always: true, ..Inner::default() })))
    }

    /// Whether a call that passed here needed something to be on the disk.
    pub fn was_durable(&self) -> bool {
        self.lock().durable
    }

    /// Whether a call passed here on its way to begin a transaction.
    pub fn has_begun(&self) -> bool {
        self.lock().begun
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the driver lets the call do this. Nobody is woken: the driver polls whom it lets go on.
    pub async fn pass(&self, point: Point) {
        let mut point = Some(point);
        poll_fn(|_| {
            let mut gate = self.lock();
            if let Some(Point::Turn { durable }) = &point {
                gate.durable |= durable;
            }
            gate.begun |= point == Some(Point::Begin);
            if gate.always {
                return Poll::Ready(());
            }
            if let Some(point) = point.take() {
                gate.at = Some(point);
                gate.open = false;
            }
            if gate.open {
                gate.at = None;
                return Poll::Ready(());
            }
            Poll::Pending
        })
        .await;
    }
}

/// One call under way.
pub(super) struct Actor<'a> {
    gate: Arc<Gate>,
    future: Option<BoxFuture<'a, Result<String>>>,
    /// Its answer, when it is over.
    pub(super) answer: Option<Result<String>>,
    /// It has begun.
    pub(super) started: bool,
    /// It has its process's turn to write.
    pub(super) has_turn: bool,
    /// It has begun a transaction that writes.
    pub(super) in_transaction: bool,
    /// It was let go on and waits for the other.
    pub(super) blocked: bool,
}

impl<'a> Actor<'a> {
    pub(super) fn new(gate: Arc<Gate>, future: BoxFuture<'a, Result<String>>) -> Self {
        Self {
            gate,
            future: Some(future),
            answer: None,
            started: false,
            has_turn: false,
            in_transaction: false,
            blocked: false,
        }
    }

    /// What it stands before.
    pub(super) fn at(&self) -> Option<Point> {
        let gate = self.gate.lock();
        gate.at.clone().filter(|_| !gate.open)
    }

    pub(super) fn is_over(&self) -> bool {
        self.answer.is_some()
    }

    /// Whether it ended because the database was busy.
    pub(super) fn was_busy(&self) -> bool {
        matches!(&self.answer, Some(Err(error)) if error.kind == StoreErrorKind::Retry)
    }

    /// Whether its next step needs the database's one write lock.
    pub(super) fn wants_lock(&self) -> bool {
        self.at().is_some_and(|point| {
            !self.in_transaction && !matches!(point, Point::Turn { .. }) && !point.reads()
        })
    }

    /// Lets it do what it stands before.
    pub(super) fn open(&mut self) {
        match self.at() {
            Some(Point::Turn { .. }) => self.has_turn = true,
            Some(Point::Begin) => self.in_transaction = true,
            Some(Point::Commit) => self.in_transaction = false,
            _ => {}
        }
        self.gate.lock().open = true;
    }

    /// Polls it once. True if it stands before its next step, or is over.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> bool {
        self.started = true;
        if let Some(future) = &mut self.future
            && let Poll::Ready(answer) = future.as_mut().poll(context)
        {
            self.answer = Some(answer);
            self.future = None;
            (self.has_turn, self.in_transaction) = (false, false);
        }
        let still = self.is_over() || self.at().is_some();
        if still {
            self.blocked = false;
            if matches!(self.at(), Some(Point::Turn { .. })) {
                self.has_turn = false;
            }
        }
        still
    }

    /// Waits until it stands before its next step, or is over.
    pub(super) async fn settle(&mut self) {
        poll_fn(|context| if self.poll(context) { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    /// Polls it once and says whether it is still where it was.
    pub(super) async fn is_still_blocked(&mut self) -> bool {
        poll_fn(|context| Poll::Ready(!self.poll(context))).await
    }
}
