//! What it feeds and what must hold: src/plan.rs.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bothways_fuzz::plan::run(data));
