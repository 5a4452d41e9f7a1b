//! How services say how fast they may be called.

mod told;
