//! The one exchange there is: send a request and read the answer. Where credentials are tokens, one is fetched when there is none, or
//! when the service refuses the one in use.
//!
//! A read fetches its token first. A write goes out first, whatever the token: its request is what an intent stores. If it is refused for
//! the token (class `auth`), it was not carried out, and the very same request follows with a new one.

use crate::core::Core;
use bothways_connector::{Call, Exchange, Outcome, Step};
use bothways_model::{ErrorClass, Failure, Request, Response, Secret};
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
    /// The token that the request was sent with, where credentials are tokens.
    Sent(Option<Secret>),
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
        self.core.authorise(&mut request);
        self.state = State::Sent(self.core.credentials.tokens().and_then(|t| t.current()));
        Step::Call(Call { request, write: self.write })
    }

    /// Asks for a token if there is none, else sends.
    fn proceed(&mut self) -> Step {
        match self.core.credentials.tokens() {
            Some(tokens) if tokens.current().is_none() => {
                let request = tokens.request();
                self.state = State::WaitsForToken;
                Step::Call(Call { request, write: false })
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
            (State::Begun, None) => self.proceed(),
            (State::WaitsForToken, Some(answer)) => {
                let accepted = self.core.credentials.tokens().map_or(Ok(()), |t| t.accept(&answer));
                match accepted {
                    Ok(()) => self.send(),
                    Err(mut failure) => {
                        failure.retry_after_ms = crate::answer::asked_to_wait(&self.core, &answer);
                        Step::Done(Outcome::Failed(failure))
                    }
                }
            }
            (State::Sent(token), Some(answer)) => match self.core.credentials.tokens() {
                Some(tokens) if self.is_refusal(&answer) => {
                    // A token that another call has replaced meanwhile proves nothing against the new one: some services end a session
                    // when the next one begins, and several workers may begin one at once.
                    let latest = token.is_none_or(|token| tokens.refuse(&token));
                    if latest && std::mem::replace(&mut self.refused, true) {
                        self.finish(answer)
                    } else {
                        self.proceed()
                    }
                }
                _ => self.finish(answer),
            },
            _ => out_of_turn(),
        }
    }
}

fn out_of_turn() -> Step {
    Step::Done(Outcome::Failed(Failure::new(ErrorClass::Malformed, "the exchange was driven out of turn")))
}
