//! What the accelerometer gives, a sample after the other.

use std::f64::consts::TAU;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::machine::{HARMONICS, normal, spread};
use crate::resonator::Resonator;
use crate::{CHANNELS, Fault, Machine, RATE, SCALE, State};

/// Blades of the wheel.
const BLADES: f64 = 7.0;
/// Balls that pass a place of the outer race in a turn of the shaft, as of a deep-groove bearing 6205.
const BALLS: f64 = 3.585;
/// Noise of the sensor, g rms.
const SENSOR: f64 = 0.004;
/// How far speed and load wander, as shares, and in what time, seconds.
const WANDER: [(f64, f64); 2] = [(0.004, 2.0), (0.1, 1.0)];
/// Turns a second of the neighbours.
const NEIGHBOURS: f64 = 24.7;
/// Where the phases of half orders begin among those of a machine.
const HALF_ORDERS: usize = 8;
/// Harmonics and half orders of a loose foot, in halves of an order.
const LOOSE: usize = 16;
/// Part of a turn in which a rotor that rubs touches its housing.
const CONTACT: f64 = 0.15;

/// The samples of a machine that stays in a state, without end, in counts of [`SCALE`].
#[derive(Clone, Debug)]
pub struct Recording<'m> {
    machine: &'m Machine,
    state: State,
    fault: Option<Fault>,
    rng: ChaCha8Rng,
    /// Turns of the shaft so far, those of the neighbours, and balls that have passed.
    turns: f64,
    neighbours: f64,
    balls: f64,
    /// Speed and load beside what they are on average, standardised.
    wander: [f64; 2],
    modes: [Resonator; 2],
}

impl<'m> Recording<'m> {
    /// What the sensor on a machine gives in a state, with a fault or sound. `take` tells one recording from another.
    pub fn new(machine: &'m Machine, state: State, fault: Option<Fault>, take: u8) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(machine.seed);
        let what = state as u64 * 8 + fault.map_or(0, |fault| 1 + fault as u64);
        rng.set_stream(1 << 63 | machine.number << 16 | what << 8 | u64::from(take));
        let mut start = || normal(&mut rng).abs();
        let [turns, neighbours, balls] = [start(), start(), start()];
        let wander = [normal(&mut rng), normal(&mut rng)];
        let modes = [0, 1].map(|mode| Resonator::new(machine.modes[mode].0, machine.modes[mode].1));
        Self { machine, state, fault, rng, turns, neighbours, balls, wander, modes }
    }

    /// Acceleration along the axes of the machine, g, gravity apart.
    fn shaken(&mut self) -> [f64; CHANNELS] {
        let Self { machine, state, fault, .. } = *self;
        for (at, (_, time)) in self.wander.iter_mut().zip(WANDER) {
            let kept = (-1.0 / (time * RATE)).exp();
            *at = kept * *at + (1.0 - kept * kept).sqrt() * normal(&mut self.rng);
        }
        let [speed, load] = [0, 1].map(|at| 1.0 + WANDER[at].0 * self.wander[at]);
        let speed = machine.speed(state) * speed;
        self.turns += speed / RATE;
        self.neighbours += NEIGHBOURS / RATE;
        // Forces of what turns grow with the square of the speed.
        let force = (speed / machine.speeds[1]).powi(2);
        let [blades, flow] = if state == State::Loaded { machine.load } else { [1.0; 2] };

        let wave = |turns: f64, order: f64, phases: usize, axis: usize| {
            (TAU * order * turns + machine.phases[phases][axis]).cos()
        };
        let hum =
            |axis: usize| machine.hum * (wave(self.neighbours, 1.0, 31, axis) + wave(self.neighbours, 2.0, 30, axis));
        let first = machine.harmonics[0];
        let mut sum: [f64; CHANNELS] = std::array::from_fn(|axis| {
            let harmonic = |at: usize| {
                let out_of_balance = if at == 0 && fault == Some(Fault::Imbalance) { 6.0 } else { 1.0 };
                out_of_balance * machine.harmonics[at][axis] * wave(self.turns, 1.0 + at as f64, at, axis)
            };
            let shaft: f64 = (0..HARMONICS).map(harmonic).sum();
            let blade = blades * load * machine.blade[axis] * wave(self.turns, BLADES, HARMONICS, axis);
            let faulty = match fault {
                Some(Fault::Looseness) => {
                    let order = |half: usize| 1.5 * wave(self.turns, half as f64 / 2.0, HALF_ORDERS + half, axis);
                    first[axis] * (1..=LOOSE).map(|half| order(half) / (half as f64).sqrt()).sum::<f64>()
                }
                Some(Fault::Rub) => {
                    let half = |order: f64, at: usize| wave(self.turns, order, HALF_ORDERS + at, axis);
                    first[axis] * (2.0 * half(0.5, 1) + half(1.5, 3))
                }
                _ => 0.0,
            };
            force * (shaft + blade + faulty) + hum(axis)
        });

        let touches = fault == Some(Fault::Rub) && self.turns.fract() < CONTACT;
        let noise = force * flow * load * machine.broadband * if touches { 8.0 } else { 1.0 };
        let blow = self.blow(speed);
        for (at, mode) in self.modes.iter_mut().enumerate() {
            let blow = if at == 1 { blow } else { 0.0 };
            let rings = mode.step(noise * normal(&mut self.rng) + force.sqrt() * blow);
            sum.iter_mut().zip(machine.modes[at].2).for_each(|(sum, share)| *sum += share * rings);
        }
        let floor = 0.5 * noise + 0.001;
        sum.map(|sum| machine.gain * (sum + floor * normal(&mut self.rng)))
    }

    /// The blow of a ball that passes a pit in this sample, 0 if none does.
    fn blow(&mut self, speed: f64) -> f64 {
        if self.fault != Some(Fault::OuterRace) {
            return 0.0;
        }
        let before = self.balls.floor();
        // Balls slide a little, so no two come at quite the same distance.
        self.balls += BALLS * speed / RATE * (1.0 + 0.01 * normal(&mut self.rng));
        if self.balls.floor() > before { 1.5 * spread(&mut self.rng, 0.2) } else { 0.0 }
    }
}

impl Iterator for Recording<'_> {
    type Item = [i16; CHANNELS];

    fn next(&mut self) -> Option<Self::Item> {
        let mut moved = self.shaken();
        // At rest an accelerometer shows what holds it up.
        moved[1] += 1.0;
        Some(std::array::from_fn(|axis| {
            let seen: f64 = self.machine.attitude[axis].iter().zip(moved).map(|(share, moved)| share * moved).sum();
            let value = seen + self.machine.offset[axis] + SENSOR * normal(&mut self.rng);
            (value / f64::from(SCALE)).round() as i16
        }))
    }
}
