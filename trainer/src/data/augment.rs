//! Random changes that keep a frame's meaning: training asks for the same cluster before and after.

use std::f32::consts::PI;

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use super::{FrameKind, FrameShape};
use crate::config::{AugmentConfig, AugmentKind};

/// A family of random maps of frames, its ranges multiplied by `strength`.
#[derive(Clone, Debug)]
pub struct Augmentation {
    kind: Option<FrameKind>,
    ranges: AugmentConfig,
    shape: FrameShape,
    strength: f32,
}

impl Augmentation {
    /// The maps that `config` asks for; `auto` goes by the kind of frame.
    pub fn new(config: &AugmentConfig, shape: FrameShape, kind: FrameKind, strength: f64) -> Self {
        let kind = match config.kind {
            AugmentKind::Auto => Some(kind),
            AugmentKind::None | AugmentKind::Neighbours => None,
            AugmentKind::Image => Some(FrameKind::Image),
            AugmentKind::Window => Some(FrameKind::Window),
            AugmentKind::Features => Some(FrameKind::Features),
        };
        Self { kind, ranges: config.clone(), shape, strength: strength as f32 }
    }

    /// Writes a random view of `frame` `[P]` to `out` `[P]`.
    pub fn apply(&self, frame: &[f32], out: &mut [f32], rng: &mut impl Rng) {
        match self.kind {
            None => out.copy_from_slice(frame),
            Some(FrameKind::Image) => self.image(frame, out, rng),
            Some(FrameKind::Window) => self.window(frame, out, rng),
            Some(FrameKind::Features) => self.features(frame, out, rng),
        }
    }

    fn range(&self, half_width: f64, rng: &mut impl Rng) -> f32 {
        (rng.random::<f32>() * 2.0 - 1.0) * half_width as f32 * self.strength
    }

    /// An affine map and elastic displacement with bilinear interpolation, then thicker or thinner strokes; outside
    /// the image is 0, the background.
    fn image(&self, frame: &[f32], out: &mut [f32], rng: &mut impl Rng) {
        let r = &self.ranges;
        let (sin, cos) = (self.range(r.rotation, rng) * PI / 180.0).sin_cos();
        let scale = [1.0 + self.range(r.scale, rng), 1.0 + self.range(r.scale, rng)];
        let shear = self.range(r.shear, rng);
        let shift = [self.range(r.shift, rng), self.range(r.shift, rng)];
        let elastic = (r.elastic > 0.0).then(|| Displacement::draw(|| self.range(r.elastic, rng)));
        let thickness = if r.thickness > 0.0 { self.range(r.thickness, rng).clamp(-1.0, 1.0) } else { 0.0 };
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
                    let [du, dv] = elastic.as_ref().map_or([0.0; 2], |d| d.at(u, v));
                    let x = (m[0] * u + m[1] * v + shift[0] + du + 1.0) * half[0] - 0.5;
                    let y = (m[2] * u + m[3] * v + shift[1] + dv + 1.0) * half[1] - 0.5;
                    target[row * w + column] = bilinear(source, h, w, x, y);
                }
            }
            if thickness != 0.0 {
                thicken(target, w, thickness);
            }
        }
    }

    /// Shift and smooth warp in time (edges repeat), the same for all channels; gain a channel; additive noise.
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

/// Largest warp, as a share of half the width: the derivative of the displacement then stays below 1, so that
/// time never runs backwards.
const MAX_WARP: f32 = 0.3;

/// Control points a side of an elastic displacement.
const GRID: usize = 5;

/// A smooth random displacement: bilinear between the control points of a grid over the image.
struct Displacement([[[f32; 2]; GRID]; GRID]);

impl Displacement {
    fn draw(mut range: impl FnMut() -> f32) -> Self {
        Self(std::array::from_fn(|_| std::array::from_fn(|_| [range(), range()])))
    }

    /// Displacement of the point (u, v) of `[-1,1]²`, in the same units.
    fn at(&self, u: f32, v: f32) -> [f32; 2] {
        let place = |t: f32| {
            let t = (t + 1.0) * 0.5 * (GRID - 1) as f32;
            let cell = (t as usize).min(GRID - 2);
            (cell, t - cell as f32)
        };
        let ((column, a), (row, b)) = (place(u), place(v));
        std::array::from_fn(|axis| {
            let of = |row: usize| self.0[row][column][axis] * (1.0 - a) + self.0[row][column + 1][axis] * a;
            of(row) * (1.0 - b) + of(row + 1) * b
        })
    }
}

/// Blends an image `[h,w]` with its 3x3 dilation by `share` above 0, or with its 3x3 erosion by `-share`.
fn thicken(image: &mut [f32], w: usize, share: f32) {
    let pick = if share > 0.0 { f32::max } else { f32::min };
    let h = image.len() / w;
    // The extremum over a square is the one over columns of the one over rows.
    let rows: Vec<f32> = image
        .chunks_exact(w)
        .flat_map(|row| (0..w).map(move |i| pick(pick(row[i.saturating_sub(1)], row[i]), row[(i + 1).min(w - 1)])))
        .collect();
    for (at, value) in image.iter_mut().enumerate() {
        let (row, column) = (at / w, at % w);
        let of = |row: usize| rows[row * w + column];
        let extremum = pick(pick(of(row.saturating_sub(1)), of(row)), of((row + 1).min(h - 1)));
        *value += share.abs() * (extremum - *value);
    }
}

/// Value of `image` `[h,w]` at column x and row y, 0 outside.
fn bilinear(image: &[f32], h: usize, w: usize, x: f32, y: f32) -> f32 {
    if !(x > -1.0 && y > -1.0 && x < w as f32 && y < h as f32) {
        return 0.0;
    }
    // x + 1 is positive, so the cast rounds down; `floor` would be a call.
    let (column, row) = ((x + 1.0) as isize - 1, (y + 1.0) as isize - 1);
    let (a, b) = (x - column as f32, y - row as f32);
    let at = |row: isize, column: isize| {
        let inside = row >= 0 && column >= 0 && row < h as isize && column < w as isize;
        if inside { image[row as usize * w + column as usize] } else { 0.0 }
    };
    let upper = at(row, column) * (1.0 - a) + at(row, column + 1) * a;
    let lower = at(row + 1, column) * (1.0 - a) + at(row + 1, column + 1) * a;
    upper * (1.0 - b) + lower * b
}
