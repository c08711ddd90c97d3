//! Any bytes as what they begin as, pictures among that.
#![no_main]

mod read;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| read::taken("x.png", bytes));
