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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_names_give_the_same_samples_and_others_others() {
        let first = |seed, number, state, fault, take| -> Vec<[i16; CHANNELS]> {
            Recording::new(&Machine::of_fleet(seed, number), state, fault, take).take(500).collect()
        };
        let one = first(1, 2, State::Fast, None, 3);
        assert_eq!(one, first(1, 2, State::Fast, None, 3));
        let others = [
            first(2, 2, State::Fast, None, 3),
            first(1, 3, State::Fast, None, 3),
            first(1, 2, State::Slow, None, 3),
            first(1, 2, State::Fast, Some(Fault::Rub), 3),
            first(1, 2, State::Fast, None, 4),
        ];
        assert!(others.iter().all(|other| *other != one));
    }

    /// Where the spectrum of a recording is strongest tells the speed.
    #[test]
    fn a_machine_shakes_at_the_speed_that_it_turns() {
        let machine = Machine::of_fleet(0, 5);
        for (state, from, to) in [(State::Slow, 28.0, 32.0), (State::Fast, 48.0, 50.0)] {
            let samples: Vec<_> = Recording::new(&machine, state, Some(Fault::Imbalance), 0).take(8192).collect();
            let mean = samples.iter().map(|s| f64::from(s[0])).sum::<f64>() / 8192.0;
            let power = |hertz: f64| {
                let part = |wave: fn(f64) -> f64| -> f64 {
                    let angle = |t: usize| std::f64::consts::TAU * hertz * t as f64 / crate::RATE;
                    samples.iter().enumerate().map(|(t, s)| (f64::from(s[0]) - mean) * wave(angle(t))).sum()
                };
                part(f64::cos).powi(2) + part(f64::sin).powi(2)
            };
            let strongest =
                (20..1200).map(|tenth| f64::from(tenth) / 5.0).max_by(|a, b| power(*a).total_cmp(&power(*b)));
            assert!(strongest.is_some_and(|hertz| (from..to).contains(&hertz)), "{state:?} {strongest:?}");
        }
    }

    #[test]
    fn windows_are_cut_a_hop_apart_one_axis_after_another() {
        let recording: Vec<[i16; CHANNELS]> = (0..1000).map(|t| [t, 2 * t, -t]).collect();
        let windows: Vec<Vec<f32>> = cut(&recording).collect();
        assert_eq!(windows.len(), (1000 - WINDOW) / HOP + 1);
        assert_eq!(
            [windows[2][0], windows[2][WINDOW], windows[2][3 * WINDOW - 1]].map(|v| v / SCALE),
            [256.0, 512.0, -511.0]
        );
    }
}
