//! A damped oscillator.

use std::f64::consts::TAU;

use crate::RATE;

/// An oscillator that noise or blows keep ringing; white noise of variance 1 gives an output of variance 1.
#[derive(Clone, Debug)]
pub(crate) struct Resonator {
    feedback: [f64; 2],
    gain: f64,
    last: [f64; 2],
}

impl Resonator {
    /// At rest; `frequency` in Hz, `damping` as a share of the critical one.
    pub fn new(frequency: f64, damping: f64) -> Self {
        let omega = TAU * frequency / RATE;
        let radius = (-damping * omega).exp();
        let [a1, a2] = [2.0 * radius * omega.cos(), -radius * radius];
        // The variance of an autoregression of order 2 that white noise drives.
        let variance = (1.0 - a2) / ((1.0 + a2) * ((1.0 - a2).powi(2) - a1 * a1));
        Self { feedback: [a1, a2], gain: variance.sqrt().recip(), last: [0.0; 2] }
    }

    /// The next sample, from what drives it.
    pub fn step(&mut self, input: f64) -> f64 {
        let [a1, a2] = self.feedback;
        let output = a1 * self.last[0] + a2 * self.last[1] + self.gain * input;
        self.last = [output, self.last[0]];
        output
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::machine::normal;

    #[test]
    fn white_noise_comes_out_as_loud_as_it_went_in() {
        for (frequency, damping) in [(170.0, 0.03), (560.0, 0.06), (300.0, 0.5)] {
            let mut rng = ChaCha8Rng::seed_from_u64(1);
            let mut resonator = Resonator::new(frequency, damping);
            let power: f64 = (0..400_000).map(|_| resonator.step(normal(&mut rng)).powi(2)).sum();
            assert!((power / 4e5 - 1.0).abs() < 0.05, "{frequency} {damping}: {}", power / 4e5);
        }
    }
}
