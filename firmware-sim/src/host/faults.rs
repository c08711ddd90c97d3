//! What goes wrong between the sensor and the loop.

use clap::Args;
use rand::{Rng, RngExt};
use serde::Serialize;

/// How often each fault happens, per frame, 0 to 1.
#[derive(Args, Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[command(next_help_heading = "Faults, per frame")]
pub struct Rates {
    /// The frame is lost on its way.
    #[arg(long, value_name = "P", default_value = "0.002", value_parser = probability)]
    pub drop: f64,
    /// The frame comes twice.
    #[arg(long, value_name = "P", default_value = "0.002", value_parser = probability)]
    pub duplicate: f64,
    /// The values are noise.
    #[arg(long, value_name = "P", default_value = "0.002", value_parser = probability)]
    pub corrupt: f64,
    /// A value is no number.
    #[arg(long, value_name = "P", default_value = "0.002", value_parser = probability)]
    pub nan: f64,
    /// The upper half is white, as of a sensor that is blinded.
    #[arg(long, value_name = "P", default_value = "0.002", value_parser = probability)]
    pub saturate: f64,
    /// The clock jumps by up to an hour, forwards or backwards.
    #[arg(long, value_name = "P", default_value = "0.002", value_parser = probability)]
    pub clock_jump: f64,
    /// A bit of the flash turns over; that is noticed at the next start of the device.
    #[arg(long, value_name = "P", default_value = "0.0001", value_parser = probability)]
    pub bit_flip: f64,
}

fn probability(text: &str) -> Result<f64, &'static str> {
    let value: f64 = text.parse().map_err(|_| "a rate is a number")?;
    if (0.0..=1.0).contains(&value) { Ok(value) } else { Err("a rate is 0 to 1") }
}

/// Number of times that each fault has happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Happened {
    /// Frames lost on their way.
    pub dropped: u64,
    /// Frames that came twice.
    pub duplicated: u64,
    /// Frames that came as noise.
    pub corrupt: u64,
    /// Frames with a value that is no number.
    pub nan: u64,
    /// Frames whose upper half came white.
    pub saturated: u64,
    /// Jumps of the clock.
    pub clock_jumps: u64,
    /// Bits of the flash that have turned over.
    pub bit_flips: u64,
}

/// Most that the clock jumps by, milliseconds.
const JUMP: i64 = 3_600_000;

/// A faulty path from a sensor, and a faulty clock.
#[derive(Clone, Debug)]
pub struct Faults<R> {
    rates: Rates,
    rng: R,
    /// The device's clock less the true time, milliseconds.
    clock: i64,
    /// Faults so far, counted.
    pub happened: Happened,
}

impl<R: Rng> Faults<R> {
    /// A path and a clock that have done no harm yet.
    pub fn new(rates: Rates, rng: R) -> Self {
        Self { rates, rng, clock: 0, happened: Happened::default() }
    }

    /// Draws whether a fault happens, and counts it if it does.
    fn happens(&mut self, rate: impl Fn(&Rates) -> f64, count: impl Fn(&mut Happened) -> &mut u64) -> bool {
        let happens = self.rng.random_bool(rate(&self.rates));
        *count(&mut self.happened) += u64::from(happens);
        happens
    }

    /// How many copies of a frame arrive, after damage to its values; and whether there was any.
    pub fn frame(&mut self, values: &mut [f32]) -> (usize, bool) {
        let mut damaged = false;
        if self.happens(|r| r.corrupt, |h| &mut h.corrupt) {
            values.iter_mut().for_each(|value| *value = self.rng.random());
            damaged = true;
        }
        if self.happens(|r| r.saturate, |h| &mut h.saturated) {
            let half = values.len() / 2;
            values.iter_mut().take(half).for_each(|value| *value = 1.0);
            damaged = true;
        }
        if self.happens(|r| r.nan, |h| &mut h.nan) {
            let at = self.rng.random_range(0..values.len());
            values[at] = f32::NAN;
            damaged = true;
        }
        if self.happens(|r| r.drop, |h| &mut h.dropped) {
            return (0, damaged);
        }
        (1 + usize::from(self.happens(|r| r.duplicate, |h| &mut h.duplicated)), damaged)
    }

    /// Time of the device's clock at a true time, both in milliseconds.
    pub fn clock(&mut self, time: u64) -> u64 {
        if self.happens(|r| r.clock_jump, |h| &mut h.clock_jumps) {
            self.clock += self.rng.random_range(-JUMP..=JUMP);
        }
        time.saturating_add_signed(self.clock)
    }

    /// The bits of `bytes` of flash that turn over while `frames` come.
    pub fn bit_flips(&mut self, frames: usize, bytes: usize) -> Vec<usize> {
        let count = (0..frames).filter(|_| self.happens(|r| r.bit_flip, |h| &mut h.bit_flips)).count();
        (0..count).map(|_| self.rng.random_range(0..bytes * 8)).collect()
    }
}
