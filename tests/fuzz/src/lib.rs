//! What is thrown at everything that reads bytes from outside. Each module has one function `run`: it takes any bytes, feeds them to the
//! real code, and panics if something does not hold that must hold for every input. "It does not panic" is the least of it.

pub mod api;
pub mod cursor;
pub mod document;
pub mod event;
pub mod path;
pub mod plan;
pub mod service;
pub mod signature;
pub mod value;

/// A target: its name, which is its folder in `corpus`, and what it does.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 8] = [
    ("api", api::run),
    ("cursor", cursor::run),
    ("document", document::run),
    ("event", event::run),
    ("path", path::run),
    ("plan", plan::run),
    ("signature", signature::run),
    ("value", value::run),
];

/// The text of an input. What is not UTF-8 is of no interest to readers of text.
fn text(data: &[u8]) -> Option<&str> {
    std::str::from_utf8(data).ok()
}

/// An input of several parts: they are divided by a line with nothing but `---`.
fn parts<const N: usize>(text: &str) -> [&str; N] {
    let mut rest = text.splitn(N, "\n---\n");
    std::array::from_fn(|_| rest.next().unwrap_or_default())
}
