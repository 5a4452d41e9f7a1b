//! Who writes to which record at this moment: never two at once (rules 40, 41).

use crate::executor::Pid;
use crate::process::Process;
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

/// Requests under way, by what they write to: a record, or the stamp of one that is to be.
#[derive(Default)]
pub(crate) struct Turns(BTreeMap<String, (Pid, Weak<Process>)>);

impl Turns {
    /// A process begins to write. What is wrong with that, if another is still at it.
    pub(crate) fn begin(&mut self, what: &str, process: &Arc<Process>) -> Option<String> {
        let before = self.0.insert(what.to_owned(), (process.pid, Arc::downgrade(process)));
        let (pid, other) = before.filter(|(pid, _)| *pid != process.pid)?;
        let alive = other.upgrade().is_some_and(|other| !other.is_dead());
        alive.then(|| format!("process {} writes to {what} while process {pid} does", process.pid))
    }

    /// It has its answer, or waits no longer.
    pub(crate) fn end(&mut self, what: &str, pid: Pid) {
        if self.0.get(what).is_some_and(|(of, _)| *of == pid) {
            self.0.remove(what);
        }
    }
}
