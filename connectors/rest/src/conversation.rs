//! The one exchange there is: send a request, with a token fetched before it where credentials are tokens, and read the answer.

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
    /// A token has been fetched in this exchange; a second refusal is final.
    renewed: bool,
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
            renewed: false,
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
                self.renewed = true;
                Step::Call(Call { request, write: false })
            }
            _ => self.send(),
        }
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
            (State::Begun, None) => self.proceed(),
            (State::WaitsForToken, Some(answer)) => {
                let accepted = self.core.credentials.tokens().map_or(Ok(()), |t| t.accept(&answer));
                match accepted {
                    Ok(()) => self.send(),
                    Err(failure) => Step::Done(Outcome::Failed(failure)),
                }
            }
            (State::Sent(token), Some(answer)) => {
                let refused = token.filter(|_| answer.status == 401);
                if let (Some(tokens), Some(token)) = (self.core.credentials.tokens(), refused) {
                    tokens.refuse(&token);
                    // A write is sent once per exchange; its caller begins another one.
                    if !self.write && !self.renewed {
                        return self.proceed();
                    }
                }
                self.finish(answer)
            }
            _ => out_of_turn(),
        }
    }
}

fn out_of_turn() -> Step {
    Step::Done(Outcome::Failed(Failure::new(ErrorClass::Malformed, "the exchange was driven out of turn")))
}
