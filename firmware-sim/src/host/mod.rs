//! The simulation of a device on the host: digits in front of a faulty sensor, recordings as streams, and flash whose
//! power can be cut.

pub mod device;
pub mod digits;
pub mod drift;
pub mod drift_trial;
pub mod faults;
pub mod flash;
pub mod recording;
pub mod replay;
pub mod report;
pub mod score;
pub mod stream;
