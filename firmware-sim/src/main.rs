//! Replays the embedded digits through the device's loop on the host.

fn main() {}
