//! Families of random maps: of images, of windows of samples, of rows of features.

use std::f32::consts::PI;

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use super::ImageMap;
use crate::config::{AugmentConfig, AugmentKind};
use crate::data::Standardised;
use crate::frame::{FrameKind, FrameShape};

/// A family of random maps of frames, with ranges from the settings times a strength.
#[derive(Clone, Debug)]
pub struct Augmentation {
    /// The family; where it names none, a view is the frame itself.
    kind: AugmentKind,
    pub(super) ranges: AugmentConfig,
    pub(super) shape: FrameShape,
    strength: f32,
    /// What makes features of mapped windows, if there is a front end.
    standardised: Option<Box<Standardised>>,
}

impl Augmentation {
    /// The maps that `config` asks for, with ranges times `strength`; `auto` goes by the kind of frame.
    pub fn new(config: &AugmentConfig, shape: FrameShape, kind: FrameKind, strength: f64) -> Self {
        let kind = match config.kind {
            AugmentKind::Auto => match kind {
                FrameKind::Image => AugmentKind::Image,
                FrameKind::Window => AugmentKind::Window,
                FrameKind::Features => AugmentKind::Features,
            },
            said => said,
        };
        Self { kind, ranges: config.clone(), shape, strength: strength as f32, standardised: None }
    }

    /// The same maps for the features of windows of a shape: those of windows map the window, whose channels are standardised,
    /// and `standardised` makes features of it; all others map features as they are.
    pub fn of_windows(self, shape: FrameShape, standardised: Standardised) -> Self {
        if !self.maps_windows() {
            return self;
        }
        Self { shape, standardised: Some(Box::new(standardised)), ..self }
    }

    /// Values of a view.
    pub fn values(&self) -> usize {
        self.standardised.as_ref().map_or(self.shape.len(), |standardised| standardised.values())
    }

    /// True if views are mapped windows.
    pub fn maps_windows(&self) -> bool {
        self.kind == AugmentKind::Window
    }

    /// Writes a random view of `frame` `[P]` to `out`, of [`Augmentation::values`].
    pub fn apply(&self, frame: &[f32], out: &mut [f32], rng: &mut impl Rng) {
        match self.kind {
            AugmentKind::Auto | AugmentKind::None | AugmentKind::Neighbours => out.copy_from_slice(frame),
            AugmentKind::Image => ImageMap::draw(self, rng).apply(self.shape, frame, out),
            AugmentKind::Window => match &self.standardised {
                None => self.window(frame, out, rng),
                Some(standardised) => {
                    let mut window = vec![0.0; frame.len()];
                    self.stretched(frame, &mut window, rng);
                    standardised.apply(&window, out);
                    let features = out.to_vec();
                    self.features(&features, out, rng);
                }
            },
            AugmentKind::Features => self.features(frame, out, rng),
            AugmentKind::Sound => self.sound(frame, out, rng),
        }
    }

    /// True if views are mapped images, which [`ImageMapper`](super::ImageMapper) makes on a device.
    pub fn maps_images(&self) -> bool {
        self.kind == AugmentKind::Image
    }

    /// A number drawn evenly from ±`half_width` times the strength.
    pub(super) fn range(&self, half_width: f64, rng: &mut impl Rng) -> f32 {
        (rng.random::<f32>() * 2.0 - 1.0) * half_width as f32 * self.strength
    }

    /// A view of a window: shift and smooth warp in time (edges repeat), the same for all channels; a gain a channel;
    /// additive noise.
    fn window(&self, frame: &[f32], out: &mut [f32], rng: &mut impl Rng) {
        let width = self.shape.width;
        let half = width as f32 / 2.0;
        let shift = self.range(self.ranges.shift, rng) * half;
        let limit = |warp: f32| warp.clamp(-MAX_WARP, MAX_WARP) * half;
        let warp = [limit(self.range(self.ranges.warp, rng)), limit(self.range(self.ranges.warp, rng))];
        for (source, target) in frame.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
            let gain = 1.0 + self.range(self.ranges.scale, rng);
            for (i, value) in target.iter_mut().enumerate() {
                let phase = PI * i as f32 / width as f32;
                let warped = warp[0] * phase.sin() + 0.5 * warp[1] * (2.0 * phase).sin();
                let at = (i as f32 + shift + warped).clamp(0.0, (width - 1) as f32);
                let (low, part) = (at as usize, at.fract());
                let high = (low + 1).min(width - 1);
                *value = gain * (source[low] * (1.0 - part) + source[high] * part) + self.noise(rng);
            }
        }
    }

    /// A part of a window, stretched to its width as one who moves slower would fill it; a gain a channel.
    fn stretched(&self, frame: &[f32], out: &mut [f32], rng: &mut impl Rng) {
        let width = self.shape.width;
        let kept = 1.0 - (rng.random::<f32>() * self.ranges.stretch as f32 * self.strength).min(MOST_CUT);
        let start = rng.random::<f32>() * (1.0 - kept) * (width - 1) as f32;
        for (source, target) in frame.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
            let gain = 1.0 + self.range(self.ranges.scale, rng);
            for (i, value) in target.iter_mut().enumerate() {
                let at = start + kept * i as f32;
                let (low, part) = (at as usize, at.fract());
                let high = (low + 1).min(width - 1);
                *value = gain * (source[low] * (1.0 - part) + source[high] * part);
            }
        }
    }

    /// A view of a picture of bands over time: shift and smooth warp in time, shift across bands (edges repeat); a gain, which
    /// is a difference of logarithms; noise; and whole bands and steps set to 0, which is their mean after scaling.
    fn sound(&self, frame: &[f32], out: &mut [f32], rng: &mut impl Rng) {
        let [rows, width] = [self.shape.channels * self.shape.height, self.shape.width];
        let half = width as f32 / 2.0;
        let shift = self.range(self.ranges.shift, rng) * half;
        let limit = |warp: f32| warp.clamp(-MAX_WARP, MAX_WARP) * half;
        let warp = [limit(self.range(self.ranges.warp, rng)), limit(self.range(self.ranges.warp, rng))];
        let across = self.range(self.ranges.elastic, rng) * rows as f32 / 2.0;
        let gain = self.range(self.ranges.scale, rng) * GAIN;
        let dropout = self.ranges.dropout as f32 * self.strength;
        let mut kept = |count: usize| (0..count).map(|_| rng.random::<f32>() >= dropout).collect::<Vec<_>>();
        let (bands, steps) = (kept(rows), kept(width));
        for (row, target) in out.chunks_exact_mut(width).enumerate() {
            let (low, high, part) = between(row as f32 + across, rows);
            let [below, above] = [low, high].map(|row| &frame[row * width..][..width]);
            for (step, value) in target.iter_mut().enumerate() {
                let phase = PI * step as f32 / width as f32;
                let warped = warp[0] * phase.sin() + 0.5 * warp[1] * (2.0 * phase).sin();
                let (first, next, share) = between(step as f32 + shift + warped, width);
                let of = |row: &[f32]| row[first] * (1.0 - share) + row[next] * share;
                let mixed = of(below) * (1.0 - part) + of(above) * part + gain + self.noise(rng);
                *value = if bands[row] && steps[step] { mixed } else { 0.0 };
            }
        }
    }

    /// A view of a feature row: additive noise, and some features set to 0, which is their mean after scaling.
    fn features(&self, frame: &[f32], out: &mut [f32], rng: &mut impl Rng) {
        let dropout = self.ranges.dropout as f32 * self.strength;
        for (source, target) in frame.iter().zip(out) {
            let keep = rng.random::<f32>() >= dropout;
            *target = if keep { source + self.noise(rng) } else { 0.0 };
        }
    }

    /// Normal noise of one value.
    fn noise(&self, rng: &mut impl Rng) -> f32 {
        rng.sample::<f32, _>(StandardNormal) * self.ranges.noise as f32 * self.strength
    }
}

/// The two places that a place lies between, of `count`, and the share of the second; past the edges all is as there.
fn between(at: f32, count: usize) -> (usize, usize, f32) {
    let at = at.clamp(0.0, (count - 1) as f32);
    let low = at as usize;
    (low, (low + 1).min(count - 1), at.fract())
}

/// Deviations of a band that a picture of sound brightens by where a window of samples grows by all of its size.
const GAIN: f32 = 2.0;
/// Largest share of a window that a view leaves out.
const MOST_CUT: f32 = 0.75;
/// Largest warp, as a share of half the width: the derivative of the displacement then stays below 1, so that
/// time never runs backwards.
const MAX_WARP: f32 = 0.3;
