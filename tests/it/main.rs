//! Black-box suites.

mod tidy;
