//! How strong the maps of images may be, without a label.
//!
//! A map that moves a picture much further than it is from its nearest neighbour writes pictures of another kind; how far
//! that is depends on the pictures. Strokes on an empty ground bear a turn of 20 degrees; where most of the picture is
//! ink, and kinds differ by outline, the same turn passes several neighbours.

use rand::seq::SliceRandom;

use super::Augmentation;
use crate::config::AugmentConfig;
use crate::data::Source;
use crate::error::Result;
use crate::frame::FrameKind;
use crate::rng::{Purpose, stream};

/// Number of frames among which neighbours are looked for, the same for every data set: more would lie nearer.
const AMONG: usize = 2000;
/// Fewest and most frames whose maps and neighbours are measured.
const PROBES: [usize; 2] = [30, 300];
/// Differences of values that are taken to find neighbours, about a second of them, which large pictures keep to with fewer
/// probes.
const DIFFERENCES: usize = 2_000_000_000;
/// Times the range of strengths is halved.
const HALVINGS: usize = 6;
/// Index of the random stream that picks the frames; those of the maps count up from 1.
const PICKED: u64 = 0;

/// What the ranges in `config` are to be multiplied by, 0 to 1: the most at which a map moves the median frame no
/// further, as a squared distance, than `config.reach` times the median distance to the nearest other frame.
///
/// # Errors
/// As for [`Source::read`].
pub fn strength(config: &AugmentConfig, frames: &dyn Source, seed: u64) -> Result<f64> {
    let mut order: Vec<usize> = (0..frames.len()).collect();
    order.shuffle(&mut stream(seed, Purpose::Reach, PICKED));
    order.truncate(AMONG);
    let picked = frames.gather(&order)?;
    let p = picked.shape.len();
    let count = (DIFFERENCES / (AMONG * p)).clamp(PROBES[0], PROBES[1]);
    let probes: Vec<&[f32]> = picked.values.chunks_exact(p).take(count).collect();
    let nearest = |probe: &&[f32]| {
        let others = picked.values.chunks_exact(probe.len()).map(|other| squared_distance(probe, other));
        // The frame itself, and copies of it, are no neighbours.
        others.filter(|d| *d > 0.0).fold(f32::INFINITY, f32::min)
    };
    let limit = median(probes.iter().map(nearest).collect()) * config.reach as f32;
    let fits = |strength: f64| {
        let maps = Augmentation::new(config, picked.shape, FrameKind::Image, strength);
        let moved = probes.iter().enumerate().map(|(n, probe)| {
            let mut view = vec![0.0; probe.len()];
            maps.apply(probe, &mut view, &mut stream(seed, Purpose::Reach, n as u64 + 1));
            squared_distance(probe, &view)
        });
        median(moved.collect()) <= limit
    };
    let (mut low, mut high) = (0.0, 1.0);
    if !limit.is_finite() || fits(high) {
        return Ok(high);
    }
    for _ in 0..HALVINGS {
        let middle = 0.5 * (low + high);
        if fits(middle) { low = middle } else { high = middle }
    }
    Ok(low)
}

fn squared_distance(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

/// The middle value, infinity if there is none.
fn median(mut values: Vec<f32>) -> f32 {
    values.sort_by(f32::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f32::INFINITY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Frames;
    use crate::frame::FrameShape;

    /// A bar on an empty ground at one of eight columns, 40 shades of it: the more alike the shades, the nearer the
    /// neighbours.
    #[test]
    fn crowded_pictures_bear_weaker_maps() {
        let shape = FrameShape { channels: 1, height: 8, width: 8 };
        let at = |reach: f64, shade: f32| {
            let value = move |n: usize, i: usize| f32::from(i % 8 == (n * 3) % 8) * (1.0 + shade * n as f32);
            let values = (0..40).flat_map(|n| (0..64).map(move |i| value(n, i))).collect();
            let frames = Frames { shape, values, labels: None };
            strength(&AugmentConfig { reach, ..AugmentConfig::default() }, &frames, 1).unwrap()
        };
        assert_eq!(at(1e6, 1.0), 1.0);
        assert!(at(0.5, 1.0) < at(2.0, 1.0) && at(2.0, 1.0) < 1.0, "{} {}", at(0.5, 1.0), at(2.0, 1.0));
        assert!(at(2.0, 0.01) < at(2.0, 1.0), "{} {}", at(2.0, 0.01), at(2.0, 1.0));
    }
}
