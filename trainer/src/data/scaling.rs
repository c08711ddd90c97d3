//! Standardisation of the values, fitted on the training frames and carried in the model.

use super::Frames;
use crate::frame::FrameKind;

/// Standardisation of every value of a frame, scaled = (x - shift) · factor; the exported graph holds it too.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Scaling {
    /// What is subtracted from each value of a frame `[P]`, in the units of the data.
    pub shift: Vec<f32>,
    /// What the difference is multiplied by `[P]`, one over the units of the data.
    pub factor: Vec<f32>,
}

/// Smallest standard deviation that is divided by; a constant sensor stays constant.
const MIN_STD: f64 = 1e-6;

impl Scaling {
    /// The standardisation for `frames`; None where all values are in `[0, 1]` (bytes, grey levels): those are
    /// Bernoulli means.
    ///
    /// Every value gets mean 0 and standard deviation 1, over all frames: per feature for
    /// feature rows, per channel for windows (whether `[C,1,W]` or `[1,C,W]`) and images, whose positions share a
    /// meaning.
    pub fn fit(frames: &Frames, kind: FrameKind) -> Option<Scaling> {
        if frames.values.iter().all(|v| (0.0..=1.0).contains(v)) {
            return None;
        }
        let p = frames.shape.len();
        let group = match kind {
            FrameKind::Features => 1,
            FrameKind::Window => frames.shape.width,
            FrameKind::Image => frames.shape.height * frames.shape.width,
        };
        let count = (frames.len() * group) as f64;
        let mut sum = vec![0.0f64; p / group];
        let mut square = vec![0.0f64; p / group];
        for frame in frames.values.chunks_exact(p) {
            for (i, &v) in frame.iter().enumerate() {
                sum[i / group] += f64::from(v);
            }
        }
        let mean: Vec<f64> = sum.iter().map(|s| s / count).collect();
        for frame in frames.values.chunks_exact(p) {
            for (i, &v) in frame.iter().enumerate() {
                square[i / group] += (f64::from(v) - mean[i / group]).powi(2);
            }
        }
        let per_value = |f: &dyn Fn(usize) -> f64| (0..p).map(|i| f(i / group) as f32).collect();
        Some(Scaling {
            shift: per_value(&|g| mean[g]),
            factor: per_value(&|g| 1.0 / (square[g] / count).sqrt().max(MIN_STD)),
        })
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
