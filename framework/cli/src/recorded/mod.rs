//! Recorded exchanges of reads: made by `record`, played by `test`, offline.

pub(crate) mod anonymise;
pub(crate) mod check;
pub(crate) mod file;
pub(crate) mod make;
pub(crate) mod play;
