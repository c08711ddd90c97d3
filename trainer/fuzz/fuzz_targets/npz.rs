//! Any bytes as an archive of arrays of NumPy.
#![no_main]

mod read;

libfuzzer_sys::fuzz_target!(init: read::on_this_thread(), |bytes: &[u8]| read::taken("x.npz", bytes));
