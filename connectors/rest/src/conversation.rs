//! The one exchange there is: send a request and read the answer. Where credentials are tokens, new ones are asked for when there are
//! none, or when the service refuses those in use.
//!
//! A read asks for its token first. A write goes out first, whatever the token: its request is what an intent stores. If it is refused for
//! the token (class `auth`), it was not carried out, and the very same request follows with a new one.

use crate::core::Core;
use bothways_connector::{Call, Exchange, Outcome, Renewal, Step};
use bothways_model::{ErrorClass, Failure, Request, Response};
use std::sync::Arc;

/// What an answer means.
pub(crate) type Reader = Box<dyn FnOnce(Response) -> Outcome + Send>;

pub(crate) struct Conversation {
    core: Arc<Core>,
    /// Without credentials.
    request: Request,
    write: bool,
    reader: Option<Reader>,
    state: State,
    /// The latest token has been refused in this exchange; a second refusal is final.
    refused: bool,
}

enum State {
    Begun,
    WaitsForToken,
    /// The number of the grant that the request was sent with, where credentials are tokens.
    Sent(Option<u64>),
    Over,
}

impl Conversation {
    pub(crate) fn start(
        core: &Arc<Core>,
        request: Request,
        write: bool,
        reader: Reader,
    ) -> Box<dyn Exchange> {
        Box::new(Self {
            core: Arc::clone(core),
            request,
            write,
            reader: Some(reader),
            state: State::Begun,
            refused: false,
        })
    }

    fn send(&mut self) -> Step {
        let mut request = self.request.clone();
        // Before the token itself: one that is replaced between the two is refused as the older one, which costs a look.
        self.state = State::Sent(self.core.credentials.in_use());
        self.core.authorise(&mut request);
        Step::Call(Call { request, write: self.write })
    }

    /// Sends, once there is another token than the one of this number.
    fn proceed(&mut self, used: Option<u64>) -> Step {
        match self.core.credentials.tokens() {
            Some(tokens) if self.core.credentials.in_use() == used => {
                let renewal = Renewal { tokens: Arc::clone(tokens) as _, used };
                self.state = State::WaitsForToken;
                Step::Renew(renewal)
            }
            _ => self.send(),
        }
    }

    /// Whether the service refuses the token. Some say so with another status, or with a code that the document classes as `auth`.
    fn is_refusal(&self, answer: &Response) -> bool {
        !answer.is_success() && crate::answer::failure(&self.core, answer).class == ErrorClass::Auth
    }

    fn finish(&mut self, answer: Response) -> Step {
        match self.reader.take() {
            Some(reader) => Step::Done(reader(answer)),
            None => out_of_turn(),
        }
    }
}

impl Exchange for Conversation {
    fn next(&mut self, answer: Option<Response>) -> Step {
        match (std::mem::replace(&mut self.state, State::Over), answer) {
            (State::Begun, None) if self.write => self.send(),
            (State::Begun, None) => self.proceed(None),
            (State::WaitsForToken, None) => self.send(),
            (State::Sent(used), Some(answer)) => {
                let credentials = &self.core.credentials;
                if credentials.tokens().is_none() || !self.is_refusal(&answer) {
                    return self.finish(answer);
                }
                // A token that another call has replaced meanwhile proves nothing against the new one: some services end a session when
                // the next one begins.
                let latest = credentials.in_use() == used;
                if latest && used.is_some() && std::mem::replace(&mut self.refused, true) {
                    self.finish(answer)
                } else {
                    self.proceed(used)
                }
            }
            _ => out_of_turn(),
        }
    }
}

fn out_of_turn() -> Step {
    Step::Done(Outcome::Failed(Failure::new(ErrorClass::Malformed, "the exchange was driven out of turn")))
}
