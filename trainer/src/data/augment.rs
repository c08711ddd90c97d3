//! Random changes that keep a frame's meaning: training asks for the same cluster before and after.

use std::f32::consts::PI;

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use super::{FrameKind, FrameShape};
use crate::config::{AugmentConfig, AugmentKind};

/// A family of random maps of frames, its ranges multiplied by `strength`.
#[derive(Clone, Debug)]
pub struct Augmentation {
    kind: AugmentKind,
    ranges: AugmentConfig,
    shape: FrameShape,
    strength: f32,
}

impl Augmentation {
    /// The maps that `config` asks for; `auto` goes by the kind of frame.
    pub fn new(config: &AugmentConfig, shape: FrameShape, strength: f64) -> Self {
        let kind = match config.kind {
            AugmentKind::Auto => match shape.kind() {
                FrameKind::Image => AugmentKind::Image,
                FrameKind::Window => AugmentKind::Window,
                FrameKind::Features => AugmentKind::Features,
            },
            chosen => chosen,
        };
        Self { kind, ranges: config.clone(), shape, strength: strength as f32 }
    }

    /// Writes a random view of `frame` `[P]` to `out` `[P]`.
    pub fn apply(&self, frame: &[f32], out: &mut [f32], rng: &mut impl Rng) {
        match self.kind {
            AugmentKind::None => out.copy_from_slice(frame),
            AugmentKind::Image => self.image(frame, out, rng),
            AugmentKind::Window => self.window(frame, out, rng),
            AugmentKind::Auto | AugmentKind::Features => self.features(frame, out, rng),
        }
    }

    fn range(&self, half_width: f64, rng: &mut impl Rng) -> f32 {
        (rng.random::<f32>() * 2.0 - 1.0) * half_width as f32 * self.strength
    }

    /// An affine map with bilinear interpolation; outside the image is 0, the background.
    fn image(&self, frame: &[f32], out: &mut [f32], rng: &mut impl Rng) {
        let r = &self.ranges;
        let (sin, cos) = (self.range(r.rotation, rng) * PI / 180.0).sin_cos();
        let scale = [1.0 + self.range(r.scale, rng), 1.0 + self.range(r.scale, rng)];
        let shear = self.range(r.shear, rng);
        let shift = [self.range(r.shift, rng), self.range(r.shift, rng)];
        let (h, w) = (self.shape.height, self.shape.width);
        let half = [w as f32 / 2.0, h as f32 / 2.0];
        // Output pixel to input pixel, in units of the half-width with the origin in the middle.
        let m = [cos / scale[0], shear - sin, sin, cos / scale[1]];
        for channel in 0..self.shape.channels {
            let source = &frame[channel * h * w..][..h * w];
            let target = &mut out[channel * h * w..][..h * w];
            for row in 0..h {
                let v = (row as f32 + 0.5) / half[1] - 1.0;
                for column in 0..w {
                    let u = (column as f32 + 0.5) / half[0] - 1.0;
                    let x = (m[0] * u + m[1] * v + shift[0] + 1.0) * half[0] - 0.5;
                    let y = (m[2] * u + m[3] * v + shift[1] + 1.0) * half[1] - 0.5;
                    target[row * w + column] = bilinear(source, h, w, x, y);
                }
            }
        }
    }

    /// Shift in time (edges repeat), gain a channel, additive noise.
    fn window(&self, frame: &[f32], out: &mut [f32], rng: &mut impl Rng) {
        let width = self.shape.len() / self.shape.channels;
        let shift = self.range(self.ranges.shift, rng) * width as f32 / 2.0;
        for (source, target) in frame.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
            let gain = 1.0 + self.range(self.ranges.scale, rng);
            for (i, value) in target.iter_mut().enumerate() {
                let at = (i as f32 + shift).clamp(0.0, (width - 1) as f32);
                let (low, part) = (at as usize, at.fract());
                let high = (low + 1).min(width - 1);
                *value = gain * (source[low] * (1.0 - part) + source[high] * part) + self.noise(rng);
            }
        }
    }

    /// Additive noise, and some features set to 0, their mean after scaling.
    fn features(&self, frame: &[f32], out: &mut [f32], rng: &mut impl Rng) {
        let dropout = self.ranges.dropout as f32 * self.strength;
        for (source, target) in frame.iter().zip(out) {
            let keep = rng.random::<f32>() >= dropout;
            *target = if keep { source + self.noise(rng) } else { 0.0 };
        }
    }

    fn noise(&self, rng: &mut impl Rng) -> f32 {
        rng.sample::<f32, _>(StandardNormal) * self.ranges.noise as f32 * self.strength
    }
}

/// Value of `image` `[h,w]` at column x and row y, 0 outside.
fn bilinear(image: &[f32], h: usize, w: usize, x: f32, y: f32) -> f32 {
    if !(x > -1.0 && y > -1.0 && x < w as f32 && y < h as f32) {
        return 0.0;
    }
    let (left, top) = (x.floor(), y.floor());
    let (a, b) = (x - left, y - top);
    let (column, row) = (left as isize, top as isize);
    let at = |row: isize, column: isize| {
        let inside = row >= 0 && column >= 0 && row < h as isize && column < w as isize;
        if inside { image[row as usize * w + column as usize] } else { 0.0 }
    };
    let upper = at(row, column) * (1.0 - a) + at(row, column + 1) * a;
    let lower = at(row + 1, column) * (1.0 - a) + at(row + 1, column + 1) * a;
    upper * (1.0 - b) + lower * b
}
