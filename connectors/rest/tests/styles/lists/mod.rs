//! How lists go on, and how changes are found.

mod bodies;
mod strict;
