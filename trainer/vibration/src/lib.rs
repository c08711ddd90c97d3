#![doc = include_str!("../README.md")]

mod machine;
mod recording;
mod resonator;
mod windows;

pub use machine::Machine;
pub use recording::Recording;
pub use windows::{Windows, cut};

/// Samples a second.
pub const RATE: f64 = 1600.0;
/// Axes of the accelerometer: two across the shaft, the second of them upwards, and one along it.
pub const CHANNELS: usize = 3;
/// What a count of the accelerometer stands for, g: 16 bits for ±8 g.
pub const SCALE: f32 = 1.0 / 4096.0;
/// Samples of a window, 160 ms.
pub const WINDOW: usize = 256;
/// Samples from the begin of a window to that of the next.
pub const HOP: usize = 128;

/// What a machine does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It stands still; the floor passes on what its neighbours do.
    Idle,
    /// It turns at about 30 Hz.
    Slow,
    /// It turns at about 49 Hz.
    Fast,
    /// It turns almost as fast, against a load.
    Loaded,
}

impl State {
    /// All states.
    pub const ALL: [Self; 4] = [Self::Idle, Self::Slow, Self::Fast, Self::Loaded];
    /// Those in which the shaft turns, so that a fault can show.
    pub const TURNING: [Self; 3] = [Self::Slow, Self::Fast, Self::Loaded];
}

/// What may be wrong with a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A mass out of balance: the first harmonic of the shaft is several times what it was.
    Imbalance,
    /// A pit in the outer race of a bearing: every ball that passes it hits the housing, which rings.
    OuterRace,
    /// A loose foot: harmonics and half orders of the shaft.
    Looseness,
    /// The rotor touches the housing once a turn: bursts of noise, and half the shaft's order.
    Rub,
}

impl Fault {
    /// All faults.
    pub const ALL: [Self; 4] = [Self::Imbalance, Self::OuterRace, Self::Looseness, Self::Rub];
}
