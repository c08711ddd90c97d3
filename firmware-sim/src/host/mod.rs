//! The simulation of a device on the host.

pub mod flash;
