//! Any bytes as Parquet.
#![no_main]

mod panics;
mod read;

libfuzzer_sys::fuzz_target!(init: panics::let_crates_panic(), |bytes: &[u8]| read::taken("x.parquet", &[b"PAR1", bytes].concat()));
