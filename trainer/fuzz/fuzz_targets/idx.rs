//! Any bytes as an IDX file.
#![no_main]

mod read;

libfuzzer_sys::fuzz_target!(init: read::on_this_thread(), |bytes: &[u8]| read::taken("x-idx3-ubyte", &[&[0, 0], bytes].concat()));
