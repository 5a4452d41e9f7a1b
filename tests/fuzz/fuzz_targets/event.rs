//! What it feeds and what must hold: src/event.rs.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bothways_fuzz::event::run(data));
