//! A front end that owns its numbers, for who makes one or reads it from a file.

use std::vec::Vec;

use super::{FrontEnd, LogMel, Spectral, Steps, Tone};
use crate::FrameShape;

/// The numbers of a [`FrontEnd`].
#[derive(Clone, Debug, PartialEq)]
pub enum FrontEndSpec {
    /// Of windows.
    Spectral(SpectralSpec),
    /// Of pictures; it borrows nothing.
    Tone(Tone),
    /// Of sound.
    LogMel(LogMelSpec),
}

impl FrontEndSpec {
    /// The front end of these numbers; None where [`Spectral::new`] or [`LogMel::new`] refuses them.
    pub fn front_end(&self) -> Option<FrontEnd<'_>> {
        match self {
            Self::Spectral(spec) => spec.front_end().map(FrontEnd::Spectral),
            Self::Tone(tone) => Some(FrontEnd::Tone(*tone)),
            Self::LogMel(spec) => spec.front_end().map(FrontEnd::LogMel),
        }
    }

    /// What it makes of whole frames `[N,P]`; None where there is no front end of these numbers.
    pub fn features(&self, frames: &[f32]) -> Option<Vec<f32>> {
        let front_end = self.front_end()?;
        let (length, count) = (front_end.frame().len(), front_end.shape().len());
        let mut work = std::vec![0.0; front_end.work()];
        let mut features = std::vec![0.0; frames.len() / length * count];
        let mut rows = frames.chunks_exact(length).zip(features.chunks_exact_mut(count));
        rows.all(|(frame, row)| front_end.apply(frame.iter().copied(), row, &mut work)).then_some(features)
    }
}

/// The numbers of a [`LogMel`], by the names of [`LogMel::new`].
#[derive(Clone, Debug, PartialEq)]
pub struct LogMelSpec {
    /// Shape of a frame, `[C,1,W]` or `[1,C,W]`.
    pub shape: FrameShape,
    /// Where spectra begin, and which make a step.
    pub steps: Steps,
    /// The Hann window `[N]`, its squares summing to 1.
    pub window: Vec<f32>,
    /// Centre, factor and floor of each channel `[C,3]`.
    pub constants: Vec<f32>,
    /// The lines at which triangles begin, peak and end `[B+2]`.
    pub edges: Vec<u32>,
}

impl LogMelSpec {
    /// The front end of these numbers; None where [`LogMel::new`] refuses them.
    pub fn front_end(&self) -> Option<LogMel<'_>> {
        LogMel::new(self.shape, self.steps, &self.window, &self.constants, &self.edges)
    }
}

/// The numbers of a [`Spectral`], by the names of [`Spectral::new`].
#[derive(Clone, Debug, PartialEq)]
pub struct SpectralSpec {
    /// Shape of a frame, `[C,1,W]` or `[1,C,W]`.
    pub shape: FrameShape,
    /// The length N of the spectrum.
    pub length: usize,
    /// The Hann window `[W]`, its squares summing to 1.
    pub window: Vec<f32>,
    /// Centre, factor and floor of each channel `[C,3]`.
    pub constants: Vec<f32>,
    /// The first line of each band, and the line after the last `[B+1]`.
    pub edges: Vec<u32>,
}

impl SpectralSpec {
    /// The front end of these numbers; None where [`Spectral::new`] refuses them.
    pub fn front_end(&self) -> Option<Spectral<'_>> {
        Spectral::new(self.shape, self.length, &self.window, &self.constants, &self.edges)
    }

    /// The Hann window of `width` samples, its squares summing to 1: an outer sample weighs little, but none 0.
    pub fn hann(width: usize) -> Vec<f32> {
        let phase = |n: usize| core::f64::consts::TAU * (n as f64 + 0.5) / width as f64;
        let weights = (0..width).map(|n| 0.5 - 0.5 * libm::cos(phase(n)));
        let total: f64 = weights.clone().map(|weight| weight * weight).sum();
        weights.map(|weight| (weight / libm::sqrt(total)) as f32).collect()
    }

    /// B bands of a spectrum of length N that hold a line each at least and together lines 1 to N/2 - 1, as wide on a
    /// logarithmic scale as that allows; fewer bands if there are fewer lines.
    pub fn bands(length: usize, count: usize) -> Vec<u32> {
        let after = length / 2;
        let count = count.min(after.saturating_sub(1));
        let mut edges = std::vec![1];
        let mut last = 1;
        for left in (1..=count).rev() {
            let ratio = libm::pow(after as f64 / last as f64, 1.0 / left as f64);
            last = (libm::round(last as f64 * ratio) as usize).clamp(last + 1, after - (left - 1));
            edges.push(last as u32);
        }
        edges
    }
}
