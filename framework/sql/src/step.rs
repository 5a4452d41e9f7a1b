//! Where a test can stop a store call: before its turn with the writer and before each statement. Without the feature `testkit` there
//! is nothing here.

/// What comes next.
#[cfg_attr(not(feature = "testkit"), allow(dead_code, reason = "only a test looks at it"))]
pub(crate) enum Step<'s> {
    /// The turn with the writer.
    Turn {
        /// Whether what is committed then reaches the disk before the commit returns.
        durable: bool,
    },
    /// `BEGIN IMMEDIATE`.
    Begin,
    /// A statement, or several that are handed over together.
    Statement(&'s str),
    /// `COMMIT`.
    Commit,
}

#[cfg(not(feature = "testkit"))]
pub(crate) async fn before(_: Step<'_>) {}

#[cfg(feature = "testkit")]
pub(crate) use gated::before;
#[cfg(feature = "testkit")]
pub use gated::gated;

#[cfg(feature = "testkit")]
mod gated {
    use super::Step;
    use bothways_store::contract::interleave::{Gate, Point};
    use std::sync::Arc;

    tokio::task_local! {
        static GATE: Arc<Gate>;
    }

    /// Runs a store call so that it passes `gate` before each step.
    pub async fn gated<F: Future>(gate: Arc<Gate>, call: F) -> F::Output {
        GATE.scope(gate, call).await
    }

    pub(crate) async fn before(step: Step<'_>) {
        let Ok(gate) = GATE.try_with(Arc::clone) else { return };
        let point = match step {
            Step::Turn { durable } => Point::Turn { durable },
            Step::Begin => Point::Begin,
            Step::Statement(sql) => Point::Statement(sql.to_owned()),
            Step::Commit => Point::Commit,
        };
        gate.pass(point).await;
    }
}
