//! Deletion and insertion (V. Petsiuk et al., *RISE*, 2018): how fast q(c|x) falls as values are
//! taken away in the order of a map, and how fast it comes as they are brought in.

use burn::tensor::Device;

use crate::data::Frames;
use crate::error::Result;
use crate::eval::predict;
use crate::fitted::Fitted;
use crate::frame::FrameShape;

/// Steps from the whole frame to the whole baseline.
const STEPS: usize = 28;

/// Areas under both curves, one a frame, over the share of values from 0 to 1.
pub struct Curves {
    /// Area under q(c|x) while values are taken away; small if the map ranks well.
    pub deletion: Vec<f64>,
    /// Area under q(c|x) while values are brought in; large if the map ranks well.
    pub insertion: Vec<f64>,
}

/// Walks through values in the given orders.
///
/// - `orders`: the values `0..P` of each frame, most important first
/// - `baseline`: what a value that is taken away becomes, `[P]` of each frame
/// - `clusters`: c of each frame
///
/// # Errors
/// As for [`predict`].
pub fn curves(
    fitted: &Fitted,
    frames: &Frames,
    orders: &[Vec<usize>],
    baseline: &[f32],
    clusters: &[usize],
    device: &Device,
) -> Result<Curves> {
    let deletion = area(fitted, frames, baseline, orders, clusters, device)?;
    let absent = Frames { shape: frames.shape, values: baseline.to_vec(), labels: None };
    let insertion = area(fitted, &absent, &frames.values, orders, clusters, device)?;
    Ok(Curves { deletion, insertion })
}

/// Area under q(c|x) while the values of `from` become those of `to`, by the trapezium rule.
fn area(
    fitted: &Fitted,
    from: &Frames,
    to: &[f32],
    orders: &[Vec<usize>],
    clusters: &[usize],
    device: &Device,
) -> Result<Vec<f64>> {
    let p = from.shape.len();
    let mut current = from.clone();
    let mut areas = vec![0.0; from.len()];
    for step in 0..=STEPS {
        let changed = (step.max(1) - 1) * p / STEPS..step * p / STEPS;
        for (n, order) in orders.iter().enumerate() {
            for &i in &order[changed.clone()] {
                current.values[n * p + i] = to[n * p + i];
            }
        }
        let found = predict(fitted, &current, device)?;
        let weight = if step == 0 || step == STEPS { 0.5 } else { 1.0 } / STEPS as f64;
        for (n, area) in areas.iter_mut().enumerate() {
            *area += weight * f64::from(found.log_responsibilities[n * found.width() + clusters[n]]).exp();
        }
    }
    Ok(areas)
}

/// The values `0..P` by falling score, equal scores in the order of `ties`.
pub fn order(scores: &[f32], ties: &[usize]) -> Vec<usize> {
    let mut order = ties.to_vec();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    order
}

/// Magnitude of the gradient by Sobel's operator, borders repeated `[P]`.
pub fn sobel(frame: &[f32], shape: FrameShape) -> Vec<f32> {
    let (h, w) = (shape.height as isize, shape.width as isize);
    let at = |channel: usize, y: isize, x: isize| {
        let (y, x) = (y.clamp(0, h - 1), x.clamp(0, w - 1));
        frame[channel * shape.height * shape.width + (y * w + x) as usize]
    };
    const SMOOTH: [(isize, f32); 3] = [(-1, 1.0), (0, 2.0), (1, 1.0)];
    let mut out = Vec::with_capacity(frame.len());
    for channel in 0..shape.channels {
        for (y, x) in (0..h).flat_map(|y| (0..w).map(move |x| (y, x))) {
            let across: f32 =
                SMOOTH.iter().map(|(i, s)| s * (at(channel, y + i, x + 1) - at(channel, y + i, x - 1))).sum();
            let down: f32 =
                SMOOTH.iter().map(|(i, s)| s * (at(channel, y + 1, x + i) - at(channel, y - 1, x + i))).sum();
            out.push(across.hypot(down));
        }
    }
    out
}
