//! Frames and maps as pictures: colours, enlargement, pictures side by side, PNG.

use std::io::Cursor;

use image::{ImageFormat, RgbImage, imageops};

use super::Map;
use crate::error::{Error, Result};
use crate::frame::{FrameKind, FrameShape};

/// Side that a small picture is enlarged towards, pixels.
const SIDE: u32 = 224;
/// Most that a pixel is enlarged.
const MOST_ENLARGED: u32 = 16;
/// White between pictures side by side, pixels.
const GAP: u32 = 8;

/// Colours from against the cluster (blue) over neither (near white) to for it (red): ColorBrewer's
/// RdBu.
const DIVERGING: [[u8; 3]; 5] = [[33, 102, 172], [146, 197, 222], [247, 247, 247], [244, 165, 130], [178, 24, 43]];
/// Colours from low to high, also for who sees no red or green: viridis.
const SEQUENTIAL: [[u8; 3]; 9] = [
    [68, 1, 84],
    [71, 44, 122],
    [59, 81, 139],
    [44, 113, 142],
    [33, 144, 141],
    [39, 173, 129],
    [92, 200, 99],
    [170, 220, 50],
    [253, 231, 37],
];

/// Values that the ends of a map's colours stand for, lowest and highest.
///
/// Trust spans its range; contrast is symmetric, so that no evidence is white; surprise starts at
/// what is expected.
///
/// # Returns
/// `[low, high]` with low below high, for values `[P]` that are finite.
pub fn span(map: Map, values: &[f32]) -> [f32; 2] {
    let most = |f: fn(f32) -> f32| values.iter().map(|v| f(*v)).fold(f32::MIN_POSITIVE, f32::max);
    match map {
        Map::Trust => [0.0, 1.0],
        Map::Contrast => {
            let most = most(f32::abs);
            [-most, most]
        }
        Map::Surprise => [0.0, most(|v| v)],
    }
}

/// The colour of a value within `span`: diverging for the contrast, sequential for the others.
pub fn colour(map: Map, value: f32, [low, high]: [f32; 2]) -> [u8; 3] {
    let anchors: &[[u8; 3]] = if map == Map::Contrast { &DIVERGING } else { &SEQUENTIAL };
    // Halves, since the difference of two finite values may not be finite.
    let share = ((value / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0)).clamp(0.0, 1.0);
    let at = share * (anchors.len() - 1) as f32;
    let below = (at as usize).min(anchors.len() - 2);
    let rest = at - below as f32;
    std::array::from_fn(|i| {
        let [from, to] = [anchors[below][i], anchors[below + 1][i]].map(f32::from);
        (from + (to - from) * rest).round() as u8
    })
}

/// A map `[P]` as a picture, one colour a value; colours span `span`.
///
/// The channels of a frame lie under each other, as in [`frame`], but those of a colour image,
/// whose evidence is shown as one: contrast is summed over them, trust and surprise are averaged.
pub fn map(map: Map, values: &[f32], shape: FrameShape, kind: FrameKind, span: [f32; 2]) -> RgbImage {
    let joined = joined(map, values, shape, kind);
    let (width, height) = size(shape, kind);
    enlarged(RgbImage::from_fn(width, height, |x, y| {
        image::Rgb(colour(map, joined[y as usize * width as usize + x as usize], span))
    }))
}

/// Values that [`map`] draws of a map `[P]`: its own, those of a colour image's channels joined.
pub fn joined(map: Map, values: &[f32], shape: FrameShape, kind: FrameKind) -> Vec<f32> {
    if !is_colour(shape, kind) {
        return values.to_vec();
    }
    let area = shape.height * shape.width;
    let share = if map == Map::Contrast { 1.0 } else { 1.0 / shape.channels as f32 };
    (0..area).map(|at| values.iter().skip(at).step_by(area).map(|v| v * share).sum()).collect()
}

/// A frame `[P]` as a picture: colour images in colour, all else in grey with the channels under
/// each other; black is `low`, white is `high`.
pub fn frame(values: &[f32], shape: FrameShape, kind: FrameKind, [low, high]: [f32; 2]) -> RgbImage {
    let level = |v: f32| {
        let share = (v / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0).max(f32::MIN_POSITIVE);
        (share.clamp(0.0, 1.0) * 255.0).round() as u8
    };
    let (width, height) = size(shape, kind);
    let area = shape.height * shape.width;
    enlarged(RgbImage::from_fn(width, height, |x, y| {
        let at = y as usize * width as usize + x as usize;
        let colour = is_colour(shape, kind);
        image::Rgb(std::array::from_fn(|i| level(values[if colour { i * area + at } else { at }])))
    }))
}

/// Values that black and white of a frame stand for: 0 and 1 if its values lie there, else its
/// least and its greatest value too.
pub fn range(values: &[f32]) -> [f32; 2] {
    values.iter().fold([0.0, 1.0], |[low, high], v| [v.min(low), v.max(high)])
}

/// Pictures from left to right on white, their upper edges level.
pub fn beside(pictures: &[RgbImage]) -> RgbImage {
    let gaps = GAP * (pictures.len() as u32).saturating_sub(1);
    let width = pictures.iter().map(RgbImage::width).sum::<u32>() + gaps;
    let height = pictures.iter().map(RgbImage::height).max().unwrap_or(0);
    let mut out = RgbImage::from_pixel(width, height, image::Rgb([255; 3]));
    let mut x = 0;
    for picture in pictures {
        imageops::replace(&mut out, picture, i64::from(x), 0);
        x += picture.width() + GAP;
    }
    out
}

/// The bytes of a PNG file.
///
/// # Errors
/// [`Error::Resource`] if the picture is empty or larger than PNG allows.
pub fn png(picture: &RgbImage) -> Result<Vec<u8>> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Png).map_err(|e| Error::resource("png", e))?;
    Ok(bytes.into_inner())
}

/// Whether a frame is a colour image, its three channels shown as one picture.
fn is_colour(shape: FrameShape, kind: FrameKind) -> bool {
    kind == FrameKind::Image && shape.channels == 3
}

/// Width and height before enlargement.
fn size(shape: FrameShape, kind: FrameKind) -> (u32, u32) {
    let channels = if is_colour(shape, kind) { 1 } else { shape.channels };
    (shape.width as u32, (channels * shape.height) as u32)
}

/// The picture enlarged by repeating pixels; the rows of what is much wider than high are made
/// higher, so that they can be seen.
fn enlarged(picture: RgbImage) -> RgbImage {
    let (width, height) = picture.dimensions();
    let factor = |side: u32| (SIDE / side.max(1)).clamp(1, MOST_ENLARGED);
    let across = factor(width);
    let down = if width >= 4 * height { factor(height) } else { across.min(factor(height)) };
    let across = if width >= 4 * height { across } else { down };
    imageops::resize(&picture, width * across, height * down, imageops::FilterType::Nearest)
}
