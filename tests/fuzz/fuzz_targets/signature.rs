//! What it feeds and what must hold: src/signature.rs.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bothways_fuzz::signature::run(data));
