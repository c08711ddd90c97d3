//! The front end of sound, fitted on the training frames and carried in the model; [`runtime::LogMel`] computes it.

use std::f64::consts::TAU;

use runtime::{LogMelSpec, SpectralSpec, Steps};
use serde::{Deserialize, Serialize};

use super::source::Source;
use super::spectral::{PHASE, channels};
use crate::error::Result;
use crate::frame::FrameShape;

/// Rates of sound, samples a second: what is slower is rather a vibration, and of what is faster no spectrum is long enough.
const RATES: [f64; 2] = [4e3, 96e3];
/// Seconds of a spectrum, about: its length is the next power of two.
const SPECTRUM: f64 = 0.025;
/// Least seconds from a spectrum to the next.
const HOP: f64 = 0.010;
/// Steps of time, fewest and most; with more spectra a step has the mean of several.
const STEPS: [usize; 2] = [4, 24];
/// Bands of a channel, up to [`FEW_UNTIL`] samples a second and past it.
const BANDS: [usize; 2] = [24, 32];
/// Samples a second with as many bands as a telephone needs.
const FEW_UNTIL: f64 = 8e3;
/// The floor of a power, as a share of the mean power of its channel: quieter is silence.
const FLOOR: f64 = 1e-3;

/// The numbers of a front end, by the names of [`runtime::LogMel`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogMel {
    /// Samples a second.
    pub rate: f32,
    /// The length N of a spectrum, a power of two.
    pub length: usize,
    /// Samples from the begin of a spectrum to that of the next.
    pub hop: usize,
    /// Steps of time T.
    pub steps: usize,
    /// Spectra of a step.
    pub pooled: usize,
    /// The lines at which triangles begin, peak and end `[B+2]`.
    pub edges: Vec<u32>,
    /// What is subtracted from the samples of a channel `[C]`, in the units of the data.
    pub centre: Vec<f32>,
    /// What the difference is multiplied by `[C]`, one over the units of the data.
    pub factor: Vec<f32>,
    /// What is added to every power of a channel before its logarithm `[C]`, a power after that.
    pub floor: Vec<f32>,
}

impl LogMel {
    /// The front end for `frames`, which are windows of so many samples a second; None if those are no rate of sound, or
    /// windows are too short.
    ///
    /// # Errors
    /// As for [`Source::read`].
    pub fn fit(frames: &dyn Source, rate: f64) -> Result<Option<Self>> {
        let Some(sizes) = Self::sizes(frames.shape(), rate) else { return Ok(None) };
        let [centre, factor, floor] = channels(frames, FLOOR)?;
        Ok(Some(Self { centre, factor, floor, ..sizes }))
    }

    /// The sizes of a front end for windows of a shape, with constants that change nothing; None as for [`LogMel::fit`].
    pub fn sizes(shape: FrameShape, rate: f64) -> Option<Self> {
        if !(RATES[0]..=RATES[1]).contains(&rate) {
            return None;
        }
        let length = (SPECTRUM * rate).log2().round().exp2() as usize;
        let room = shape.width.checked_sub(length)?;
        // As many spectra as lie the least hop apart, in steps of as many each.
        let most = (room as f64 / (HOP * rate)) as usize + 1;
        let pooled = (most / STEPS[1]).max(1);
        let steps = (most / pooled).min(STEPS[1]);
        if steps < STEPS[0] {
            return None;
        }
        let hop = room / (steps * pooled - 1);
        let bands = BANDS[usize::from(rate > FEW_UNTIL)];
        let channels = shape.len() / shape.width;
        let [zeros, ones] = [0.0, 1.0].map(|value| vec![value; channels]);
        let edges = mel(length, rate, bands);
        Some(Self {
            rate: rate as f32,
            length,
            hop,
            steps,
            pooled,
            edges,
            centre: zeros,
            factor: ones.clone(),
            floor: ones,
        })
    }

    /// Whether it is one of frames of a shape, as one is that was fitted to them; a file may hold anything.
    pub fn fits(&self, shape: FrameShape) -> bool {
        let channels = [&self.centre, &self.factor, &self.floor].map(Vec::len);
        let length = self.length <= runtime::FRONT_END_LENGTHS[1];
        length && channels == [shape.len() / shape.width.max(1); 3] && self.spec(shape).front_end().is_some()
    }

    /// The front end as engines compute it, for frames of a shape.
    pub fn spec(&self, shape: FrameShape) -> LogMelSpec {
        let constants = self.centre.iter().zip(&self.factor).zip(&self.floor);
        LogMelSpec {
            shape: runtime::FrameShape { channels: shape.channels, height: shape.height, width: shape.width },
            steps: Steps { hop: self.hop, count: self.steps, pooled: self.pooled, rate: self.rate },
            window: SpectralSpec::hann(self.length),
            constants: constants.flat_map(|((centre, factor), floor)| [*centre, *factor, *floor]).collect(),
            edges: self.edges.clone(),
        }
    }

    /// Bands B of a channel.
    pub fn bands(&self) -> usize {
        self.edges.len().saturating_sub(2)
    }

    /// Shape of the picture of a frame, `[1,C·B,T]`.
    pub fn shape(&self) -> FrameShape {
        FrameShape { channels: 1, height: self.centre.len() * self.bands(), width: self.steps }
    }

    /// Seconds from a step of time to the next.
    pub fn step(&self) -> f64 {
        (self.hop * self.pooled) as f64 / f64::from(self.rate)
    }

    /// A window `[P]` with a picture near this one `[C·B,T]`, in the units of the data: a sine in the middle of each band, as
    /// loud as the step that a sample lies in.
    pub fn window(&self, picture: &[f32], width: usize) -> Vec<f32> {
        let (bands, n) = (self.bands(), self.length as f64);
        let constants = self.centre.iter().zip(&self.factor).zip(&self.floor);
        let of_channel = |(rows, ((centre, factor), floor)): (&[f32], ((&f32, &f32), &f32))| {
            let loudness = |band: usize, step: usize| {
                let ends = &self.edges[band..band + 3];
                let power = (f64::from(rows[band * self.steps + step]).exp() - f64::from(*floor)).max(0.0);
                // A sine of amplitude A has Σ |X_k|² = A² N/4.
                (4.0 * power * 0.5 * f64::from(ends[2] - ends[0]) / n).sqrt()
            };
            let sample = |at: usize| {
                let step = (at.saturating_sub(self.length / 2) / (self.hop * self.pooled)).min(self.steps - 1);
                let wave = |band: usize| {
                    let turns = at as f64 * f64::from(self.edges[band + 1]) / n + PHASE * band as f64;
                    loudness(band, step) * (TAU * turns).sin()
                };
                ((0..bands).map(wave).sum::<f64>() / f64::from(*factor) + f64::from(*centre)) as f32
            };
            (0..width).map(sample).collect::<Vec<_>>()
        };
        picture.chunks_exact(bands * self.steps).zip(constants).flat_map(of_channel).collect()
    }
}

/// The lines at which triangles begin, peak and end `[B+2]`, from 0 Hz to half of the rate, evenly on the mel scale as far as
/// each has a line of its own.
fn mel(length: usize, rate: f64, bands: usize) -> Vec<u32> {
    let mel = |hertz: f64| (1.0 + hertz / 700.0).ln();
    let (top, half, mut edges) = (mel(0.5 * rate), length / 2, vec![0]);
    for at in 1..=bands + 1 {
        let hertz = 700.0 * ((top * at as f64 / (bands + 1) as f64).exp() - 1.0);
        let line = (hertz * length as f64 / rate).round() as usize;
        let before = edges[at - 1] as usize;
        edges.push(line.clamp(before + 1, half - (bands + 1 - at)) as u32);
    }
    edges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_suit_every_rate_of_sound() {
        let of = |rate: f64, width: usize| LogMel::sizes(FrameShape { channels: 1, height: 1, width }, rate);
        for rate in [4e3, 8e3, 11_025.0, 16e3, 22_050.0, 44.1e3, 48e3, 96e3] {
            for seconds in [0.08, 0.25, 1.0, 3.0, 10.0] {
                let width = (rate * seconds) as usize;
                let found = of(rate, width).unwrap();
                assert!(found.fits(FrameShape { channels: 1, height: 1, width }), "{rate} {seconds}: {found:?}");
                let (spectrum, hop) = (found.length as f64 / rate, found.hop as f64 / rate);
                assert!((0.0175..0.036).contains(&spectrum), "{rate}: {spectrum} s");
                assert!((0.0095..0.021).contains(&hop), "{rate} {seconds}: {hop} s");
                // A hop is whole samples, so that a little of long windows is left over.
                let seen = found.step() * found.steps as f64;
                assert!(seen > 0.975 * seconds - 0.05 && seen < seconds + 0.01, "{rate} {seconds}: {seen} s");
                assert_eq!(found.edges.last(), Some(&(found.length as u32 / 2)));
            }
        }
        assert_eq!(of(3999.0, 8000), None);
        assert_eq!(of(96_001.0, 200_000), None);
        assert_eq!(of(16e3, 900), None);
        assert_eq!(of(16e3, 100), None);
        let second = of(16e3, 16_000).unwrap();
        assert_eq!(second.shape(), FrameShape { channels: 1, height: 32, width: 24 });
        assert_eq!((second.length, second.hop, second.pooled), (512, 163, 4));
    }
}
