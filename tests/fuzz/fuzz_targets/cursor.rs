//! What it feeds and what must hold: src/cursor.rs.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bothways_fuzz::cursor::run(data));
