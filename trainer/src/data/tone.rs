//! The front end of pictures whose colours say nothing, fitted on the training frames and carried in the model;
//! [`runtime::Tone`] computes it.

use serde::{Deserialize, Serialize};

use super::Source;
use crate::error::Result;
use crate::frame::FrameShape;

/// The floor of a contrast, as a share of how far pixels are from the mean colour of their picture: an even picture has less.
const FLOOR: f64 = 0.1;
/// Most pictures whose colours are looked at.
const MOST: usize = 5000;

/// The numbers of a front end, by the names of [`runtime::Tone`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tone {
    /// What is added to the contrast of a picture, in the units of its values.
    pub floor: f32,
}

impl Tone {
    /// The front end for `frames`, which are pictures.
    ///
    /// # Errors
    /// As for [`Source::read`].
    pub fn fit(frames: &dyn Source) -> Result<Self> {
        let floor = (FLOOR * Colours::of(frames)?.within.sqrt()) as f32;
        Ok(Self { floor: if floor.is_normal() { floor } else { 1.0 } })
    }

    /// The front end as engines compute it, for frames of a shape; None if it does not fit them.
    pub fn spec(&self, shape: FrameShape) -> Option<runtime::Tone> {
        let shape = runtime::FrameShape { channels: shape.channels, height: shape.height, width: shape.width };
        runtime::Tone::new(shape, self.floor)
    }
}

/// How the colours of pictures lie, in one picture and from one to the other; of 5,000 of them, even steps apart, if there
/// are more.
#[derive(Clone, Debug)]
pub struct Colours {
    /// The mean colour of every picture `[N,C]`.
    pub means: Vec<f64>,
    /// Variance of the mean colour from picture to picture, summed over channels.
    pub between: f64,
    /// Variance of a pixel within its picture, summed over channels.
    pub within: f64,
    /// Share of that along the main colour of each picture: 1 where every picture has two colours and what lies between.
    pub along: f64,
}

impl Colours {
    /// Of pictures `[N,C,H,W]`.
    ///
    /// # Errors
    /// As for [`Source::read`].
    pub fn of(frames: &dyn Source) -> Result<Self> {
        let shape = frames.shape();
        let (c, pixels) = (shape.channels, shape.height * shape.width);
        let step = frames.len().div_ceil(MOST).max(1);
        let (mut means, mut within, mut along) = (Vec::new(), 0.0, 0.0);
        for n in (0..frames.len()).step_by(step) {
            let picture = frames.gather(&[n])?.values;
            let mean = |channel: &[f32]| channel.iter().map(|v| f64::from(*v)).sum::<f64>() / pixels as f64;
            let centre: Vec<f64> = picture.chunks_exact(pixels).map(mean).collect();
            let covariance = nalgebra::DMatrix::from_fn(c, c, |i, j| {
                let [a, b] = [i, j].map(|at| picture[at * pixels..][..pixels].iter().map(move |v| f64::from(*v)));
                a.zip(b).map(|(a, b)| (a - centre[i]) * (b - centre[j])).sum::<f64>() / pixels as f64
            });
            within += covariance.trace();
            along += covariance.symmetric_eigenvalues().max();
            means.extend(centre);
        }
        let n = (means.len() / c).max(1) as f64;
        let between = (0..c).map(|channel| {
            let values = || means.iter().skip(channel).step_by(c);
            let centre = values().sum::<f64>() / n;
            values().map(|v| (v - centre).powi(2)).sum::<f64>() / n
        });
        let between = between.sum();
        let along = if within > 0.0 { along / within } else { 1.0 };
        Ok(Self { means, between, within: within / n, along })
    }

    /// Share of all variance that is of the mean colours.
    pub fn share(&self) -> f64 {
        let all = self.between + self.within;
        if all > 0.0 { self.between / all } else { 0.0 }
    }
}
