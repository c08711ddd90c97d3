//! Any bytes as Arrow IPC, a file or a stream.
#![no_main]

mod panics;
mod read;

libfuzzer_sys::fuzz_target!(init: begin(), |bytes: &[u8]| {
    read::taken("x.arrow", &[b"ARROW1\0\0", bytes].concat());
    read::taken("x.arrows", &[&[0xff; 4], bytes].concat());
});

fn begin() {
    read::on_this_thread();
    panics::let_crates_panic();
}
