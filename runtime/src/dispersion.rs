//! Dispersion: how far a frame lies from what the decoder says of it.

use crate::head::exp;
use crate::{Assignment, FrameError, Head};

/// Least variance of a value, so that a frame of which every value is certain is not divided by 0.
const LEAST_VARIANCE: f32 = 1e-6;

/// What a decoder's outputs are the parameters of, and how much novelty counts a frame that is not as they say.
///
/// With x̂ the mean of p(x|m,c), m the latent mean of a frame and c its cluster, the dispersion of the frame is its squared
/// error over the one that the decoder expects,
///
/// ```text
/// φ = Σ_p (x_p - x̂_p)² / Σ_p Var(x_p|m,c)        Var = x̂_p (1 - x̂_p) (Bernoulli) or s² (Gaussian), at least 10⁻⁶
/// ```
///
/// (P. McCullagh, J. A. Nelder, *Generalized Linear Models*, 1989: Pearson's statistic, which estimates the dispersion;
/// both sums are taken before they are divided, so that no value is divided by a variance near 0), and novelty is
/// -log p(z) + `weight` · φ.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dispersion {
    /// Whether values are Bernoulli and outputs logits, or Gaussian and outputs means.
    pub bernoulli: bool,
    /// The noise s² of a Gaussian value, after scaling; without meaning for a Bernoulli.
    pub noise: f32,
    /// Nats that novelty counts for a dispersion of 1.
    pub weight: f32,
}

impl Dispersion {
    /// The dispersion of a frame, from its values, scaled as the model scales them, each with the decoder's output for it.
    pub fn of(&self, values: impl Iterator<Item = (f32, f32)>) -> f32 {
        let (mut found, mut expected) = (0.0, 0.0);
        for (x, output) in values {
            let (mean, variance) = if self.bernoulli {
                let mean = 1.0 / (1.0 + exp(-output));
                (mean, mean * (1.0 - mean))
            } else {
                (output, self.noise)
            };
            found += (x - mean) * (x - mean);
            expected += variance.max(LEAST_VARIANCE);
        }
        found / expected
    }

    /// An assignment by the latent alone, with the novelty that also counts a dispersion.
    ///
    /// # Errors
    /// [`FrameError::Overflow`] if the novelty is not finite.
    pub(crate) fn add(&self, dispersion: f32, head: &Head<'_>, assignment: &mut Assignment) -> Result<(), FrameError> {
        let novelty = assignment.novelty + self.weight * dispersion;
        if !novelty.is_finite() {
            return Err(FrameError::Overflow);
        }
        (assignment.novelty, assignment.is_novel) = (novelty, novelty > head.novelty_threshold());
        Ok(())
    }

    /// Whether its numbers are finite, the noise above 0 and the weight not below.
    pub(crate) fn holds(&self) -> bool {
        self.noise.is_finite() && self.noise > 0.0 && self.weight.is_finite() && self.weight >= 0.0
    }
}
