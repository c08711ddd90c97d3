//! Any bytes as an array of NumPy.
#![no_main]

mod read;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| read::taken("x.npy", bytes));
