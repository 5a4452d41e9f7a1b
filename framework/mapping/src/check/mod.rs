//! What documents mean, beyond their form. Each file holds the checks of one subject; codes are in [`crate::Code`].

pub(crate) mod calls;
pub(crate) mod database;
pub(crate) mod environment;
pub(crate) mod escape;
pub(crate) mod names;
pub(crate) mod paths;
pub(crate) mod references;
pub(crate) mod resources;
pub(crate) mod secrets;
pub(crate) mod vars;
pub(crate) mod writers;
