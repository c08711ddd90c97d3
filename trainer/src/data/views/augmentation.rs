//! Families of random maps: of images, of windows of samples, of rows of features.

use std::borrow::Cow;
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
            AugmentKind::Window => match (&self.standardised, &*self.turned(frame, rng)) {
                (None, turned) => self.window(turned, out, rng),
                (Some(standardised), turned) => {
                    let mut window = vec![0.0; frame.len()];
                    self.stretched(turned, &mut window, rng);
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

    /// A window as its sensors would see it if they sat otherwise: all of them turned alike, and axes of the other sign.
    fn turned<'f>(&self, frame: &'f [f32], rng: &mut impl Rng) -> Cow<'f, [f32]> {
        if self.ranges.turn == 0.0 && self.ranges.mirror == 0.0 {
            return Cow::Borrowed(frame);
        }
        let axis: [f32; AXES] = std::array::from_fn(|_| rng.sample(StandardNormal));
        let length = axis.iter().map(|a| a * a).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
        let axis = axis.map(|a| a / length);
        let (sine, cosine) = self.range(self.ranges.turn.to_radians(), rng).sin_cos();
        let signs: [f32; AXES] =
            std::array::from_fn(|_| if rng.random::<f64>() < self.ranges.mirror { -1.0 } else { 1.0 });
        let (width, mut out) = (self.shape.width, frame.to_vec());
        for (of_sensor, turned) in frame.chunks_exact(AXES * width).zip(out.chunks_exact_mut(AXES * width)) {
            for at in 0..width {
                let v: [f32; AXES] = std::array::from_fn(|i| signs[i] * of_sensor[i * width + at]);
                // Rodrigues: cos v + sin (k x v) + (1 - cos) (k·v) k.
                let along = (1.0 - cosine) * axis.iter().zip(v).map(|(k, v)| k * v).sum::<f32>();
                for i in 0..AXES {
                    let (next, last) = ((i + 1) % AXES, (i + 2) % AXES);
                    let across = axis[next] * v[last] - axis[last] * v[next];
                    turned[i * width + at] = cosine * v[i] + sine * across + along * axis[i];
                }
            }
        }
        Cow::Owned(out)
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

/// Axes of a sensor.
const AXES: usize = 3;
/// Deviations of a band that a picture of sound brightens by where a window of samples grows by all of its size.
const GAIN: f32 = 2.0;
/// Largest share of a window that a view leaves out.
const MOST_CUT: f32 = 0.75;
/// Largest warp, as a share of half the width: the derivative of the displacement then stays below 1, so that
/// time never runs backwards.
const MAX_WARP: f32 = 0.3;

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// Two sensors and a channel of its own, of 5 samples.
    fn turned(turn: f64, mirror: f64, frame: &[f32]) -> Vec<f32> {
        let shape = FrameShape { channels: 7, height: 1, width: 5 };
        let config = AugmentConfig { turn, mirror, ..AugmentConfig::default() };
        let maps = Augmentation::new(&config, shape, FrameKind::Window, 1.0);
        maps.turned(frame, &mut ChaCha8Rng::seed_from_u64(3)).into_owned()
    }

    #[test]
    fn sensors_are_turned_alike_and_nothing_else() {
        let frame: Vec<f32> = (0..35).map(|i| (0.7 * (i % 15) as f32).sin()).collect();
        assert_eq!(turned(0.0, 0.0, &frame), frame);
        let found = turned(90.0, 0.0, &frame);
        let length = |frame: &[f32], at: usize| (0..3).map(|i| frame[5 * i + at].powi(2)).sum::<f32>().sqrt();
        for at in 0..5 {
            assert!((length(&found, at) - length(&frame, at)).abs() < 1e-5);
        }
        assert!((0..15).any(|i| (found[i] - frame[i]).abs() > 0.1));
        assert_eq!(found[..15], found[15..30]);
        assert_eq!(found[30..], frame[30..]);
        let mirrored = turned(0.0, 1.0, &frame);
        assert!(mirrored[..30].iter().zip(&frame).all(|(a, b)| (a + b).abs() < 1e-6));
    }

    #[test]
    fn views_of_sound_leave_whole_bands_and_steps_out_and_a_gain_is_even() {
        let shape = FrameShape { channels: 1, height: 6, width: 8 };
        let frame: Vec<f32> = (0..48).map(|i| 1.0 + i as f32).collect();
        let view = |change: fn(&mut AugmentConfig)| {
            let still = AugmentConfig { shift: 0.0, warp: 0.0, elastic: 0.0, scale: 0.0, ..AugmentConfig::default() };
            let mut config = AugmentConfig { noise: 0.0, dropout: 0.0, kind: AugmentKind::Sound, ..still };
            change(&mut config);
            let mut out = vec![0.0; 48];
            let maps = Augmentation::new(&config, shape, FrameKind::Image, 1.0);
            maps.apply(&frame, &mut out, &mut ChaCha8Rng::seed_from_u64(1));
            out
        };
        assert_eq!(view(|_| ()), frame);
        let louder = view(|config| config.scale = 0.5);
        assert!((louder[0] - frame[0]).abs() > 0.01);
        assert!(louder.iter().zip(&frame).all(|(a, b)| (a - b - (louder[0] - frame[0])).abs() < 1e-4));
        // A shift in time moves all bands alike, one across bands all steps.
        let later = view(|config| config.shift = 0.5);
        assert!((0..6).all(|row| (later[8 * row + 3] - later[3] - 8.0 * row as f32).abs() < 1e-4));
        assert!((later[3] - frame[3]).abs() > 0.05);
        let higher = view(|config| config.elastic = 0.5);
        assert!((0..8).all(|step| (higher[16 + step] - higher[16] - step as f32).abs() < 1e-4));
        assert!((higher[16] - frame[16]).abs() > 0.05);
        let left_out = view(|config| config.dropout = 0.4);
        let [rows, steps]: [Vec<bool>; 2] = [
            (0..6).map(|row| (0..8).any(|step| left_out[8 * row + step] != 0.0)).collect(),
            (0..8).map(|step| (0..6).any(|row| left_out[8 * row + step] != 0.0)).collect(),
        ];
        assert!(rows.contains(&false) || steps.contains(&false));
        for (at, (a, b)) in left_out.iter().zip(&frame).enumerate() {
            assert_eq!(*a, if rows[at / 8] && steps[at % 8] { *b } else { 0.0 });
        }
    }
}
