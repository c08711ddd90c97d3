//! Any bytes as a table of text, or as what else they begin as.
#![no_main]

mod read;

libfuzzer_sys::fuzz_target!(init: read::on_this_thread(), |bytes: &[u8]| read::taken("x.csv", bytes));
