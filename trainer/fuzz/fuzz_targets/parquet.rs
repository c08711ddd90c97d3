//! Any bytes as Parquet.
#![no_main]

mod read;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| read::taken("x.parquet", &[b"PAR1", bytes].concat()));
