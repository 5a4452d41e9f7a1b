//! The built binary from outside: exit codes, output, settings, and whole installations against the sandbox.

mod applying;
mod archiving;
mod brakes;
mod connectors_readme;
mod demo;
mod describing;
mod documents;
mod help;
mod hooks;
mod logging_in;
mod making;
mod mistakes;
mod operate;
mod readme;
mod recording;
mod running;
mod service;
mod setting_up;
mod shop;
mod standing;
