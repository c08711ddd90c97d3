//! Any bytes as an array of NumPy.
#![no_main]

mod read;

libfuzzer_sys::fuzz_target!(init: read::on_this_thread(), |bytes: &[u8]| read::taken("x.npy", bytes));
