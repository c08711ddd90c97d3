//! Any bytes as Parquet.
#![no_main]

mod panics;
mod read;

libfuzzer_sys::fuzz_target!(init: begin(), |bytes: &[u8]| read::taken("x.parquet", &[b"PAR1", bytes].concat()));

fn begin() {
    read::on_this_thread();
    panics::let_crates_panic();
}
