//! Black-box suites.

mod corpus;
mod real;
mod tidy;
