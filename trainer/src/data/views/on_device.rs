//! Random maps of many images at once, in tensor operations: what [`ImageMap::apply`] does to one image on the CPU.

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::image::{GRID, ImageMap, cell, centred};
use crate::frame::FrameShape;

/// Rows of the basis for the affine part of a map: u, v, 1.
const AFFINE: usize = 3;
/// Pixels on the right and below that bilinear interpolation looks at, with a weight of 0 on the edge.
const AFTER: usize = 1;

/// Maps images of one shape on one device.
///
/// A coordinate of the input is linear in u, v and the displacements of the control points, so all coordinates are one
/// matrix product; the pixels are gathered from the frames with a rim on the right and
/// below.
#[derive(Clone, Debug)]
pub struct ImageMapper {
    shape: FrameShape,
    /// u, v, 1, then the weight of each control point `[3+25,HW]`.
    basis: Tensor<2>,
    /// Index at which each channel begins in a frame with a rim `[1,C,1]`.
    channels: Tensor<3, Int>,
}

impl ImageMapper {
    /// A mapper for images of `shape`, on `device`.
    pub fn new(shape: FrameShape, device: &Device) -> Self {
        let (h, w) = (shape.height, shape.width);
        let mut basis = vec![0.0f32; (AFFINE + GRID * GRID) * h * w];
        for at in 0..h * w {
            let (u, v) = (centred(at % w, w), centred(at / w, h));
            let mut set = |row: usize, value: f32| basis[row * h * w + at] = value;
            set(0, u);
            set(1, v);
            set(2, 1.0);
            let ((column, a), (row, b)) = (cell(u), cell(v));
            for (down, across, weight) in
                [(0, 0, (1.0 - a) * (1.0 - b)), (0, 1, a * (1.0 - b)), (1, 0, (1.0 - a) * b), (1, 1, a * b)]
            {
                set(AFFINE + (row + down) * GRID + column + across, weight);
            }
        }
        let rimmed = ((h + AFTER) * (w + AFTER)) as i32;
        let channels: Vec<i32> = (0..shape.channels as i32).map(|channel| channel * rimmed).collect();
        Self {
            shape,
            basis: Tensor::from_data(TensorData::new(basis, [AFFINE + GRID * GRID, h * w]), device),
            channels: Tensor::from_data(TensorData::new(channels, [1, shape.channels, 1]), device),
        }
    }

    /// Maps R frames, each by a map of its own.
    ///
    /// # Shapes
    /// - `frames`: `[R,P]`; `maps`: R
    /// - output: `[R,P]`
    ///
    /// # Panics
    /// If there are not as many maps as frames.
    pub fn apply(&self, frames: Tensor<2>, maps: &[ImageMap]) -> Tensor<2> {
        let r = frames.dims()[0];
        assert_eq!(r, maps.len(), "a map for each frame");
        let FrameShape { channels, height: h, width: w } = self.shape;
        let across = w + AFTER;
        let [x, y] = self.coordinates(maps, &frames.device());
        let (left, upper) = (x.clone().floor(), y.clone().floor());
        // Exact in f32: an image of 2²⁴ pixels would be 4096x4096.
        let corner: Tensor<2, Int> = (upper.clone() * across as f64 + left.clone()).int();
        let corner = (corner.unsqueeze_dim::<3>(1) + self.channels.clone()).reshape([r, channels * h * w]);
        let rim = (0, AFTER, 0, AFTER);
        let rimmed = frames.reshape([r, channels, h, w]).pad(rim, 0.0).flatten::<2>(1, 3);
        let pixel =
            |offset: usize| rimmed.clone().gather(1, corner.clone() + offset as i64).reshape([r, channels, h * w]);
        let (a, b) = ((x - left).unsqueeze_dim::<3>(1), (y - upper).unsqueeze_dim::<3>(1));
        let between = |from: Tensor<3>, to: Tensor<3>, part: &Tensor<3>| from.clone() + (to - from) * part.clone();
        let above = between(pixel(0), pixel(1), &a);
        let below = between(pixel(across), pixel(across + 1), &a);
        let out = between(above, below, &b).reshape([r, channels, h, w]);
        thicken(out, maps).reshape([r, channels * h * w])
    }

    /// Column and row of the input `[R,HW]` at every output pixel, in pixels of the frame.
    fn coordinates(&self, maps: &[ImageMap], device: &Device) -> [Tensor<2>; 2] {
        let (r, size) = (maps.len(), [self.shape.width, self.shape.height]);
        let elastic = maps.iter().any(|map| map.elastic.is_some());
        let columns = AFFINE + if elastic { GRID * GRID } else { 0 };
        let mut linear = Vec::with_capacity(2 * r * columns);
        for (axis, &size) in size.iter().enumerate() {
            let half = size as f32 / 2.0;
            for map in maps {
                linear.extend(map.matrix[2 * axis..2 * axis + 2].iter().map(|m| m * half));
                linear.push((map.shift[axis] + 1.0) * half - 0.5);
                if elastic {
                    let at = |point: usize| map.elastic.as_ref().map_or(0.0, |d| d.0[point / GRID][point % GRID][axis]);
                    linear.extend((0..GRID * GRID).map(|point| at(point) * half));
                }
            }
        }
        let linear = Tensor::<2>::from_data(TensorData::new(linear, [2 * r, columns]), device);
        let both = linear.matmul(self.basis.clone().narrow(0, 0, columns));
        // Past the edge all is as on the edge.
        let axis = |axis: usize| both.clone().narrow(0, axis * r, r).clamp(0.0, (size[axis] - 1) as f64);
        [axis(0), axis(1)]
    }
}

/// Blends each image with a 3x3 dilation or erosion of it, by the thickness of its map; `[R,C,H,W]` in and out.
fn thicken(images: Tensor<4>, maps: &[ImageMap]) -> Tensor<4> {
    if maps.iter().all(|map| map.thickness == 0.0) {
        return images;
    }
    let shares: Vec<f32> = maps.iter().map(|map| map.thickness).collect();
    let shares = Tensor::<4>::from_data(TensorData::new(shares, [maps.len(), 1, 1, 1]), &images.device());
    // An erosion is the negative of the dilation of the negative.
    let sign = shares.clone().sign();
    let extremum = dilate(dilate(images.clone() * sign.clone(), 2), 3) * sign;
    images.clone() + shares.abs() * (extremum - images)
}

/// The largest of each pixel and its two neighbours along `axis`.
///
/// Burn's pooling would do, but 0.22.1 mixes up the layout of its output where fusion blends it with another tensor.
fn dilate(images: Tensor<4>, axis: usize) -> Tensor<4> {
    let size = images.dims()[axis];
    let mut rim = [(0, 0); 4];
    rim[axis] = (1, 1);
    // Less than any pixel, and no infinity, which some shaders do not compare.
    let rimmed = images.pad(rim, f32::MIN);
    let part = |from: usize| rimmed.clone().narrow(axis, from, size);
    part(0).max_pair(part(1)).max_pair(part(2))
}
