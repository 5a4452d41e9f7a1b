//! What it feeds and what must hold: src/api.rs.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bothways_fuzz::api::run(data));
