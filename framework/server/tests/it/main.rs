//! The server as its callers see it: requests against the routers over an engine on the in-memory store.

mod braking;
mod deciding;
mod describing;
mod editing;
mod entering;
mod following;
mod forms;
mod mapped;
mod measuring;
mod operating;
mod serving;
mod showing;
mod world;
