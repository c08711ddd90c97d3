//! Random maps of images: affine, elastic, thicker or thinner strokes.

use std::f32::consts::PI;

use rand::Rng;

use super::Augmentation;
use crate::frame::FrameShape;

/// Control points a side of an elastic displacement.
pub const GRID: usize = 5;

/// One map of an image, drawn; lengths are in half-widths, of rows in half-heights, with the origin in the middle.
#[derive(Clone, Debug)]
pub struct ImageMap {
    /// The linear part of output pixel (u, v) to input pixel: two rows of a 2x2 matrix. A turn or a shear is one of pixels,
    /// so in an image that is not square its entries off the diagonal hold the ratio of height and width.
    pub matrix: [f32; 4],
    /// Added to the input pixel, along u and v, half-widths.
    pub shift: [f32; 2],
    /// Smooth displacement added to the input pixel, if there is any.
    pub elastic: Option<Displacement>,
    /// Thicker or thinner strokes, -1 to 1: the share of the 3x3 dilation in the result above 0, of the erosion below.
    pub thickness: f32,
}

impl ImageMap {
    /// Draws a map from the ranges of `family`.
    pub fn draw(family: &Augmentation, rng: &mut impl Rng) -> Self {
        let r = &family.ranges;
        let (sin, cos) = (family.range(r.rotation, rng) * PI / 180.0).sin_cos();
        let scale = [1.0 + family.range(r.scale, rng), 1.0 + family.range(r.scale, rng)];
        let shear = family.range(r.shear, rng);
        let shift = [family.range(r.shift, rng), family.range(r.shift, rng)];
        let elastic = (r.elastic > 0.0).then(|| Displacement::draw(|| family.range(r.elastic, rng)));
        let thickness = if r.thickness > 0.0 { family.range(r.thickness, rng).clamp(-1.0, 1.0) } else { 0.0 };
        // Half-heights in a half-width.
        let aspect = family.shape.height as f32 / family.shape.width as f32;
        let matrix = [cos / scale[0], (shear - sin) * aspect, sin / aspect, cos / scale[1]];
        Self { matrix, shift, elastic, thickness }
    }

    /// Writes the image `frame` `[P]` under this map to `out` `[P]`, with bilinear interpolation; outside the image
    /// is its edge, whatever the background.
    pub fn apply(&self, shape: FrameShape, frame: &[f32], out: &mut [f32]) {
        let (h, w) = (shape.height, shape.width);
        let half = [w as f32 / 2.0, h as f32 / 2.0];
        let m = &self.matrix;
        for channel in 0..shape.channels {
            let source = &frame[channel * h * w..][..h * w];
            let target = &mut out[channel * h * w..][..h * w];
            for row in 0..h {
                let v = centred(row, h);
                for column in 0..w {
                    let u = centred(column, w);
                    let [du, dv] = self.elastic.as_ref().map_or([0.0; 2], |d| d.at(u, v));
                    let x = (m[0] * u + m[1] * v + self.shift[0] + du + 1.0) * half[0] - 0.5;
                    let y = (m[2] * u + m[3] * v + self.shift[1] + dv + 1.0) * half[1] - 0.5;
                    target[row * w + column] = bilinear(source, h, w, x, y);
                }
            }
            if self.thickness != 0.0 {
                thicken(target, w, self.thickness);
            }
        }
    }
}

/// The middle of pixel `at` of `size`, in half-widths from the middle of the image.
pub fn centred(at: usize, size: usize) -> f32 {
    (at as f32 + 0.5) / (size as f32 / 2.0) - 1.0
}

/// A smooth random displacement, bilinear between the control points of a grid over the image; half-widths.
#[derive(Clone, Debug)]
pub struct Displacement(pub [[[f32; 2]; GRID]; GRID]);

impl Displacement {
    /// Draws every component of every control point.
    fn draw(mut range: impl FnMut() -> f32) -> Self {
        Self(std::array::from_fn(|_| std::array::from_fn(|_| [range(), range()])))
    }

    /// Displacement of the point (u, v) of `[-1,1]²`, in the same units.
    fn at(&self, u: f32, v: f32) -> [f32; 2] {
        let ((column, a), (row, b)) = (cell(u), cell(v));
        std::array::from_fn(|axis| {
            let of = |row: usize| self.0[row][column][axis] * (1.0 - a) + self.0[row][column + 1][axis] * a;
            of(row) * (1.0 - b) + of(row + 1) * b
        })
    }
}

/// The control point before `t` of `[-1,1]`, and how far it is from there to the next.
pub fn cell(t: f32) -> (usize, f32) {
    let t = (t + 1.0) * 0.5 * (GRID - 1) as f32;
    let before = (t as usize).min(GRID - 2);
    (before, t - before as f32)
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

/// Value of `image` `[h,w]` at column x and row y, that of the nearest edge outside.
fn bilinear(image: &[f32], h: usize, w: usize, x: f32, y: f32) -> f32 {
    // NaN goes to the first pixel.
    let (x, y) = (x.max(0.0).min((w - 1) as f32), y.max(0.0).min((h - 1) as f32));
    // Neither is negative, so the casts round down; `floor` would be a call.
    let (column, row) = (x as usize, y as usize);
    let (a, b) = (x - column as f32, y - row as f32);
    let (right, below) = ((column + 1).min(w - 1), (row + 1).min(h - 1));
    let at = |row: usize, column: usize| image[row * w + column];
    let upper = at(row, column) * (1.0 - a) + at(row, right) * a;
    let lower = at(below, column) * (1.0 - a) + at(below, right) * a;
    upper * (1.0 - b) + lower * b
}
