//! Black-box suites.

mod real;
mod tidy;
