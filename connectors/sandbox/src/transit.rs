//! What can happen to any request and answer on their way, whatever the service: lost, late, repeated, slow, cut.

use crate::account::milliseconds;
use crate::executed::Executed;
use bothways_model::{Response, Timestamp};
use std::time::Duration;

/// What comes back for a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// An answer.
    Response(Response),
    /// The connection is dropped without an answer.
    Dropped,
    /// An answer that takes this long to arrive; what it did has been done already.
    Slow(Response, Duration),
}

impl Answer {
    /// The answer, however slow; none where the connection was dropped.
    pub fn response(self) -> Option<Response> {
        match self {
            Answer::Response(response) | Answer::Slow(response, _) => Some(response),
            Answer::Dropped => None,
        }
    }
}

/// What happens to one request on its way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Transit {
    LostRequest,
    LostAnswer,
    /// Executed after `delay_ms` or when released; until then it holds its key if it has `arrived`.
    Late {
        delay_ms: Option<u64>,
        arrived: bool,
    },
    Duplicate,
    Slow {
        millis: u64,
    },
    Truncated,
    Html,
}

/// A request that is to be executed after its connection was dropped.
#[derive(Clone, Debug)]
pub(crate) struct Late<C, A> {
    pub(crate) call: C,
    pub(crate) due: Option<Timestamp>,
    pub(crate) shapes: Vec<A>,
    /// It has arrived and holds its key.
    pub(crate) arrived: bool,
}

/// What the way to a service needs of it.
pub(crate) trait Service {
    type Call: Clone;
    type Action;

    /// Requests that have not been executed yet.
    fn late(&mut self) -> &mut Vec<Late<Self::Call, Self::Action>>;

    /// Executes a request.
    fn execute(&mut self, call: &Self::Call, shapes: &[Self::Action], now: Timestamp) -> Executed;

    /// What something in front of the service answers in its place.
    fn not_executed(&mut self, call: &Self::Call, now: Timestamp) -> Executed;

    /// Writes an execution, or a request that led to none, into the log.
    fn note(
        &mut self,
        call: &Self::Call,
        executed: &Executed,
        status: Option<u16>,
        fault: Option<&'static str>,
        now: Timestamp,
    );
}

/// Answers a request that something happens to on its way; `kind` is the fault's name for the log.
pub(crate) fn answer<S: Service>(
    service: &mut S,
    call: &S::Call,
    shapes: Vec<S::Action>,
    transit: Option<Transit>,
    kind: &'static str,
    now: Timestamp,
) -> Answer {
    match transit {
        Some(Transit::LostRequest | Transit::Late { .. }) => {
            let nothing = Executed::unexecuted(503, Vec::new());
            if let Some(Transit::Late { delay_ms, arrived }) = transit {
                let due = delay_ms.map(|millis| now + milliseconds(millis));
                service.late().push(Late { call: call.clone(), due, shapes, arrived });
            }
            service.note(call, &nothing, None, Some(kind), now);
            return Answer::Dropped;
        }
        Some(Transit::Html) => {
            let mut page = service.not_executed(call, now);
            page.status = 200;
            page.body = b"<!doctype html><title>Please wait</title><p>Checking your connection.</p>".to_vec();
            page.headers.retain(|(name, _)| name != "content-type");
            page.headers.push(("content-type".into(), "text/html".into()));
            service.note(call, &page, Some(200), Some(kind), now);
            return Answer::Response(page.into_response());
        }
        Some(Transit::Duplicate) => {
            let first = service.execute(call, &shapes, now);
            service.note(call, &first, None, Some(kind), now);
        }
        _ => {}
    }
    let mut executed = service.execute(call, &shapes, now);
    let status = if transit == Some(Transit::LostAnswer) { None } else { Some(executed.status) };
    service.note(call, &executed, status, Some(kind), now);
    match transit {
        Some(Transit::LostAnswer) => Answer::Dropped,
        Some(Transit::Slow { millis }) => {
            Answer::Slow(executed.into_response(), Duration::from_millis(millis))
        }
        Some(Transit::Truncated) => {
            executed.body.truncate(executed.body.len() / 2);
            Answer::Response(executed.into_response())
        }
        _ => Answer::Response(executed.into_response()),
    }
}

/// Executes the late requests that `is_due` picks by when they are due; how many there were.
pub(crate) fn run_late<S: Service>(
    service: &mut S,
    now: Timestamp,
    is_due: impl Fn(Option<Timestamp>) -> bool,
) -> usize {
    let late = std::mem::take(service.late());
    let (due, waiting): (Vec<_>, Vec<_>) = late.into_iter().partition(|late| is_due(late.due));
    *service.late() = waiting;
    for late in &due {
        let executed = service.execute(&late.call, &late.shapes, now);
        let kind = if late.arrived { "unfinished" } else { "late_request" };
        service.note(&late.call, &executed, None, Some(kind), now);
    }
    due.len()
}
