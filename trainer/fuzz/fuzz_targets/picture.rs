//! Any bytes as what they begin as, pictures among that.
#![no_main]

mod read;

libfuzzer_sys::fuzz_target!(init: read::on_this_thread(), |bytes: &[u8]| read::taken("x.png", bytes));
