//! Who may come in: names the server answers to, tokens, sessions, and the checks every request passes.

mod guard;
mod limits;
mod names;
mod sessions;
mod throttle;
mod tokens;

pub(crate) use guard::{Access, Fields, admit, peer, refuse};
pub(crate) use limits::{limit, protect, read_body, read_up_to};
pub(crate) use names::{Names, check_names, origin_of};
pub(crate) use sessions::{Sessions, clear_cookie, cookie, set_cookie};
pub(crate) use throttle::Throttle;
pub(crate) use tokens::{Caller, authenticate};
