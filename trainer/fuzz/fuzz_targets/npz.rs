//! Any bytes as an archive of arrays of NumPy.
#![no_main]

mod read;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| read::taken("x.npz", bytes));
