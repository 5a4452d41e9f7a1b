//! The engine: decides and carries out.

mod ports;

pub use ports::{Clock, Http, Ports, Purpose, Random, SendError, Tasks};
