//! Standardisation of the values, fitted on the training frames and carried in the model.

use super::{Source, each_frame};
use crate::error::Result;
use crate::frame::FrameKind;

/// Standardisation of every value of a frame, scaled = (x - shift) · factor; the exported graph holds it too.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Scaling {
    /// What is subtracted from each value of a frame `[P]`, in the units of the data.
    pub shift: Vec<f32>,
    /// What the difference is multiplied by `[P]`, one over the units of the data.
    pub factor: Vec<f32>,
}

/// A standard deviation of this share of the mean, or less, is rounding: the value counts as constant.
pub(super) const ROUNDING: f64 = 1e-6;

impl Scaling {
    /// The standardisation for `frames`, the same whatever their units.
    ///
    /// Every value gets mean 0 and standard deviation 1, over all frames: per feature for feature rows, per channel for
    /// windows (whether `[C,1,W]` or `[1,C,W]`) and images, whose positions share a meaning. What is constant gets mean
    /// 0 and keeps its units, since no deviation says how much a change of it means.
    ///
    /// # Errors
    /// As for [`Source::read`].
    pub fn fit(frames: &dyn Source, kind: FrameKind) -> Result<Scaling> {
        let p = frames.shape().len();
        let group = kind.channel_len(frames.shape());
        let count = (frames.len() * group) as f64;
        let mut sum = vec![0.0f64; p / group];
        let mut square = vec![0.0f64; p / group];
        each_frame(frames, |frame| {
            for (i, &v) in frame.iter().enumerate() {
                sum[i / group] += f64::from(v);
            }
        })?;
        let mean: Vec<f64> = sum.iter().map(|s| s / count).collect();
        each_frame(frames, |frame| {
            for (i, &v) in frame.iter().enumerate() {
                square[i / group] += (f64::from(v) - mean[i / group]).powi(2);
            }
        })?;
        let per_value = |f: &dyn Fn(usize) -> f64| (0..p).map(|i| f(i / group) as f32).collect();
        let factor = |g: usize| {
            let deviation = (square[g] / count).sqrt();
            // The least that f32 divides 1 by without leaving its range.
            let varies = deviation > ROUNDING * mean[g].abs() && deviation >= f64::from(f32::MIN_POSITIVE);
            if varies { 1.0 / deviation } else { 1.0 }
        };
        Ok(Scaling { shift: per_value(&|g| mean[g]), factor: per_value(&factor) })
    }

    /// Scales the values of whole frames in place.
    pub fn apply(&self, values: &mut [f32]) {
        for frame in values.chunks_exact_mut(self.shift.len()) {
            for ((v, shift), factor) in frame.iter_mut().zip(&self.shift).zip(&self.factor) {
                // In f64 the difference of two large values stays finite.
                *v = ((f64::from(*v) - f64::from(*shift)) * f64::from(*factor)) as f32;
            }
        }
    }

    /// Takes the values of whole frames back to the units of the data, in place.
    pub fn undo(&self, values: &mut [f32]) {
        for frame in values.chunks_exact_mut(self.shift.len()) {
            for ((v, shift), factor) in frame.iter_mut().zip(&self.shift).zip(&self.factor) {
                *v = (f64::from(*v) / f64::from(*factor) + f64::from(*shift)) as f32;
            }
        }
    }
}
