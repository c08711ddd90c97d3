//! The front end of windows, fitted on the training frames and carried in the model; [`runtime::Spectral`] computes it.

use std::f64::consts::TAU;

use runtime::SpectralSpec;
use serde::{Deserialize, Serialize};

use super::scaling::Scaling;
use super::source::{Source, each_frame};
use crate::error::Result;
use crate::frame::{FrameKind, FrameShape};

/// Bands of a channel's spectrum.
const BANDS: usize = 8;
/// Features that the bands of a channel count for together: mean and deviation are two, and many bands would outvote them.
const WEIGHT: f32 = 3.0;
/// Turns from the phase of one band's sine to the next, the golden ratio, so that no two begin alike.
pub(super) const PHASE: f64 = 0.618_034;
/// The floor of a power, as a share of the mean power of its channel: quieter is silence.
const FLOOR: f64 = 3e-3;

/// The numbers of a front end, by the names of [`runtime::Spectral`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spectral {
    /// The length N of the spectrum, a power of two.
    pub length: usize,
    /// The first line of each band, and the line after the last `[B+1]`.
    pub edges: Vec<u32>,
    /// What is subtracted from the samples of a channel `[C]`, in the units of the data.
    pub centre: Vec<f32>,
    /// What the difference is multiplied by `[C]`, one over the units of the data.
    pub factor: Vec<f32>,
    /// What is added to every power of a channel before its logarithm `[C]`, a power after that.
    pub floor: Vec<f32>,
}

impl Spectral {
    /// The front end for `frames`, which are windows of at least 2 samples: channels are standardised, and floors are a share
    /// of what the power of a channel then is on average. A constant channel has a floor of 1, in its own units.
    ///
    /// # Errors
    /// As for [`Source::read`].
    pub fn fit(frames: &dyn Source) -> Result<Self> {
        let width = frames.shape().width;
        let length = width.next_power_of_two().max(runtime::FRONT_END_LENGTHS[0]);
        let [centre, factor, floor] = channels(frames, FLOOR)?;
        let edges = SpectralSpec::bands(length, BANDS);
        Ok(Self { length, edges, centre, factor, floor })
    }

    /// Whether it is one of frames of a shape, as one is that was fitted to them; a file may hold anything.
    pub fn fits(&self, shape: FrameShape) -> bool {
        let channels = [&self.centre, &self.factor, &self.floor].map(Vec::len);
        channels == [shape.len() / shape.width.max(1); 3] && self.spec(shape).front_end().is_some()
    }

    /// The front end as engines compute it, for frames of a shape.
    pub fn spec(&self, shape: FrameShape) -> SpectralSpec {
        let constants = self.centre.iter().zip(&self.factor).zip(&self.floor);
        SpectralSpec {
            shape: runtime::FrameShape { channels: shape.channels, height: shape.height, width: shape.width },
            length: self.length,
            window: SpectralSpec::hann(shape.width),
            constants: constants.flat_map(|((centre, factor), floor)| [*centre, *factor, *floor]).collect(),
            edges: self.edges.clone(),
        }
    }

    /// The same front end for windows whose channels are standardised already.
    pub fn of_standardised(&self) -> Self {
        let channels = self.centre.len();
        Self { centre: vec![0.0; channels], factor: vec![1.0; channels], ..self.clone() }
    }

    /// What standardised features count `[C,F]`: bands of a channel together as much as three features, however many
    /// they are.
    pub fn weights(&self) -> impl Iterator<Item = f32> {
        let bands = self.edges.len() - 1;
        let of_band = (WEIGHT / bands as f32).sqrt().min(1.0);
        (0..self.centre.len()).flat_map(move |_| [1.0, 1.0].into_iter().chain(std::iter::repeat_n(of_band, bands)))
    }

    /// A window `[P]` with features near these `[C,F]`, in the units of the data: the mean of each channel, and a sine in the
    /// middle of each band.
    pub fn window(&self, features: &[f32], width: usize) -> Vec<f32> {
        let channels = features.chunks_exact(self.shape().width).zip(self.centre.iter().zip(&self.factor));
        let of_channel = |(features, (centre, factor)): (&[f32], (&f32, &f32))| {
            let [mean, log_deviation] = [features[0], features[1]].map(f64::from);
            let bands: Vec<[f64; 2]> = self.edges.windows(2).map(|ends| [ends[0], ends[1]].map(f64::from)).collect();
            // Of a band as of each of its lines, and all together the variance.
            let power = |b: usize| f64::from(features[2 + b]).exp() * (bands[b][1] - bands[b][0]);
            let total: f64 = (0..bands.len()).map(power).sum();
            let sample = |n: usize| {
                let wave = |b: usize| {
                    let cycles = n as f64 * 0.5 * (bands[b][0] + bands[b][1] - 1.0) / self.length as f64;
                    (2.0 * power(b) / total).sqrt() * (TAU * (cycles + PHASE * b as f64)).sin()
                };
                let value = mean + log_deviation.exp() * (0..bands.len()).map(wave).sum::<f64>();
                (value / f64::from(*factor) + f64::from(*centre)) as f32
            };
            (0..width).map(sample).collect::<Vec<_>>()
        };
        channels.flat_map(of_channel).collect()
    }

    /// Shape of the features of a frame, `[C,1,F]`.
    pub fn shape(&self) -> FrameShape {
        // Mean, log deviation, and a value a band.
        FrameShape { channels: self.centre.len(), height: 1, width: self.edges.len() + 1 }
    }
}

/// Centre, factor and floor of every channel of windows, `[C]` each: centre and factor standardise it, and the floor is a share
/// of the power that its windows then have on average, each around its mean; 1 of a constant channel.
///
/// # Errors
/// As for [`Source::read`].
pub(super) fn channels(frames: &dyn Source, share: f64) -> Result<[Vec<f32>; 3]> {
    let width = frames.shape().width;
    let scaling = Scaling::fit(frames, FrameKind::Window)?;
    let of_channels = |values: &[f32]| values.iter().copied().step_by(width).collect::<Vec<_>>();
    let (centre, factor) = (of_channels(&scaling.shift), of_channels(&scaling.factor));
    let mut power = vec![0.0f64; centre.len()];
    each_frame(frames, |frame| {
        for ((power, window), factor) in power.iter_mut().zip(frame.chunks_exact(width)).zip(&factor) {
            let values = || window.iter().map(|value| f64::from(*value));
            let mean = values().sum::<f64>() / width as f64;
            *power += values().map(|value| ((value - mean) * f64::from(*factor)).powi(2)).sum::<f64>() / width as f64;
        }
    })?;
    let floor = |power: f64| {
        let floor = (share * power / frames.len() as f64) as f32;
        if floor >= f32::MIN_POSITIVE { floor } else { 1.0 }
    };
    Ok([centre, factor, power.into_iter().map(floor).collect()])
}

/// Share of the samples' variance within their windows that their place in the window explains, mean over channels, less
/// what chance explains of so few windows: 0 of windows that were cut anywhere, more of those that begin with an event.
///
/// # Errors
/// As for [`Source::read`].
pub fn placed(frames: &dyn Source) -> Result<f64> {
    let (shape, n) = (frames.shape(), frames.len() as f64);
    let width = shape.width;
    let channels = shape.len() / width;
    let (mut sums, mut squares) = (vec![0.0f64; channels * width], vec![0.0f64; channels]);
    each_frame(frames, |frame| {
        for ((window, sums), square) in frame.chunks_exact(width).zip(sums.chunks_exact_mut(width)).zip(&mut squares) {
            let mean = window.iter().map(|value| f64::from(*value)).sum::<f64>() / width as f64;
            for (sum, value) in sums.iter_mut().zip(window) {
                *sum += f64::from(*value) - mean;
                *square += (f64::from(*value) - mean).powi(2);
            }
        }
    })?;
    let shares = sums.chunks_exact(width).zip(&squares).filter(|(_, square)| **square > 0.0);
    let shares: Vec<f64> = shares.map(|(sums, square)| sums.iter().map(|s| s * s).sum::<f64>() / n / square).collect();
    Ok(if shares.is_empty() { 0.0 } else { shares.iter().sum::<f64>() / shares.len() as f64 - 1.0 / n })
}
