//! Windows of many recordings.

use crate::{CHANNELS, Fault, HOP, Machine, Recording, SCALE, State, WINDOW};

/// Windows `[N,3,256]`, in g, and what the machine did in each, which only scores.
#[derive(Clone, Debug, Default)]
pub struct Windows {
    /// Values of one window after another, of each window one axis after another.
    pub values: Vec<f32>,
    /// The state in each window, by its place in [`State::ALL`].
    pub states: Vec<u32>,
}

impl Windows {
    /// Of so many seconds of each of the machines `numbers`, in every state, sound.
    pub fn sound(seed: u64, numbers: std::ops::Range<u64>, seconds: f64) -> Self {
        Self::of(seed, numbers, seconds, &State::ALL, None)
    }

    /// The same of machines with a fault, in the states in which they turn.
    pub fn faulty(seed: u64, numbers: std::ops::Range<u64>, seconds: f64, fault: Fault) -> Self {
        Self::of(seed, numbers, seconds, &State::TURNING, Some(fault))
    }

    fn of(seed: u64, numbers: std::ops::Range<u64>, seconds: f64, states: &[State], fault: Option<Fault>) -> Self {
        let mut windows = Self::default();
        let samples = (seconds * crate::RATE) as usize;
        for machine in numbers.map(|number| Machine::of_fleet(seed, number)) {
            for state in states {
                let recording: Vec<_> = Recording::new(&machine, *state, fault, 0).take(samples).collect();
                for window in cut(&recording) {
                    windows.values.extend(window);
                    windows.states.push(*state as u32);
                }
            }
        }
        windows
    }

    /// Number of windows.
    pub fn len(&self) -> usize {
        self.states.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.states.is_empty()
    }
}

/// The windows `[3,256]` of a recording, a hop apart, in g.
pub fn cut(recording: &[[i16; CHANNELS]]) -> impl Iterator<Item = Vec<f32>> {
    recording.windows(WINDOW).step_by(HOP).map(|window| {
        let axis = |axis: usize| window.iter().map(move |sample| f32::from(sample[axis]) * SCALE);
        (0..CHANNELS).flat_map(axis).collect()
    })
}
