//! A machine of the fleet: what it is, which no state and no fault changes.

use std::f64::consts::TAU;

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use crate::{CHANNELS, State};

/// Harmonics of the shaft that a sound machine shows.
pub(crate) const HARMONICS: usize = 5;
/// Mean amplitudes of the harmonics at full speed, g.
const AMPLITUDES: [f64; HARMONICS] = [0.10, 0.05, 0.03, 0.02, 0.015];
/// Amplitude of the blades that pass, at full speed without load, g.
const BLADE: f64 = 0.05;
/// Noise of flow and bearings at full speed without load, g rms.
const BROADBAND: f64 = 0.04;
/// Resonances of housing and bearing seat, Hz.
const MODES: [f64; 2] = [170.0, 560.0];
/// How machines of one type differ, as the deviation of a logarithm: in what vibrates, and in what a load does.
const SPREAD: f64 = 0.2;
/// How the factor differs by which a mounting passes vibration on, as the deviation of its logarithm.
const MOUNTING: f64 = 0.4;

/// A pump with its accelerometer, one of many of the same type.
///
/// Machines differ in speed, in the strength of everything that vibrates, in resonances, in what a load does to them, and
/// most in how the sensor is mounted: how much of the vibration it sees, how it is tilted, what it shows at rest.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Turns a second, slow and fast.
    pub(crate) speeds: [f64; 2],
    /// What a load takes of the speed.
    pub(crate) slip: f64,
    /// Amplitudes of the harmonics `[harmonic][axis]`, g at full speed.
    pub(crate) harmonics: [[f64; CHANNELS]; HARMONICS],
    /// Their phases, those of the blades, and those of what a fault adds.
    pub(crate) phases: [[f64; CHANNELS]; 32],
    /// Amplitude of the blades `[axis]`, g at full speed without load.
    pub(crate) blade: [f64; CHANNELS],
    /// Noise, g rms at full speed without load.
    pub(crate) broadband: f64,
    /// What a load makes of blades and noise, as factors.
    pub(crate) load: [f64; 2],
    /// Resonances: frequency in Hz, damping, and how much each axis sees.
    pub(crate) modes: [(f64, f64, [f64; CHANNELS]); 2],
    /// What the neighbours send through the floor, g.
    pub(crate) hum: f64,
    /// The factor by which the mounting passes vibration on.
    pub(crate) gain: f64,
    /// From the axes of the machine to those of the sensor `[sensor][machine]`.
    pub(crate) attitude: [[f64; CHANNELS]; CHANNELS],
    /// What the sensor shows where there is nothing, g.
    pub(crate) offset: [f64; CHANNELS],
    pub(crate) seed: u64,
    pub(crate) number: u64,
}

impl Machine {
    /// A machine of the fleet of a seed, by its number.
    pub fn of_fleet(seed: u64, number: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(number << 8);
        let rng = &mut rng;
        // Across the shaft a rotor shakes a machine more than along it.
        let axes = |rng: &mut ChaCha8Rng| [1.0, 0.8, 0.4].map(|share| share * spread(rng, SPREAD));
        let attitude = attitude([(); CHANNELS].map(|()| normal(rng) * 8.0 / 360.0 * TAU));
        Self {
            speeds: [rng.random_range(28.0..32.0), rng.random_range(48.0..49.8)],
            slip: rng.random_range(0.02..0.04),
            harmonics: AMPLITUDES.map(|amplitude| {
                let own = amplitude * spread(rng, SPREAD);
                axes(rng).map(|axis| own * axis)
            }),
            phases: [(); 32].map(|()| [(); CHANNELS].map(|()| rng.random_range(0.0..TAU))),
            blade: {
                let own = BLADE * spread(rng, SPREAD);
                axes(rng).map(|axis| own * axis)
            },
            broadband: BROADBAND * spread(rng, SPREAD),
            load: [3.0, 4.0].map(|factor| factor * spread(rng, 0.1)),
            modes: MODES.map(|frequency| (frequency * spread(rng, 0.03), rng.random_range(0.03..0.06), axes(rng))),
            hum: 0.004 * spread(rng, 0.4),
            gain: spread(rng, MOUNTING),
            attitude,
            offset: [(); CHANNELS].map(|()| 0.03 * normal(rng)),
            seed,
            number,
        }
    }

    /// Turns a second in a state.
    pub(crate) fn speed(&self, state: State) -> f64 {
        let [slow, fast] = self.speeds;
        match state {
            State::Idle => 0.0,
            State::Slow => slow,
            State::Fast => fast,
            State::Loaded => fast * (1.0 - self.slip),
        }
    }
}

/// A factor whose logarithm is normal.
pub(crate) fn spread(rng: &mut impl Rng, deviation: f64) -> f64 {
    (deviation * normal(rng)).exp()
}

pub(crate) fn normal(rng: &mut impl Rng) -> f64 {
    rng.sample(StandardNormal)
}

/// The rotation by three angles, about one axis after the other.
fn attitude(angles: [f64; CHANNELS]) -> [[f64; CHANNELS]; CHANNELS] {
    let mut rows = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
    for (axis, angle) in angles.into_iter().enumerate() {
        let (sin, cos) = angle.sin_cos();
        let [a, b] = [(axis + 1) % CHANNELS, (axis + 2) % CHANNELS];
        for row in &mut rows {
            (row[a], row[b]) = (cos * row[a] - sin * row[b], sin * row[a] + cos * row[b]);
        }
    }
    rows
}
