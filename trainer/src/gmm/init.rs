//! Where EM starts: hard responsibilities from k-means, or from k-means++ centres alone.
//!
//! k-means++ spreads the centres: the squared distance of every point from its nearest centre so
//! far is kept, each new centre is drawn in proportion to it, and one walk over the points brings
//! the distances up to date. Drawing is by subtracting the distances one after another from a
//! uniform share of their sum until it is used up. Lloyd's iterations then move each centre to the
//! mean of the points nearest to it, and stop when no point changes its centre; a centre without
//! points stays where it is. Weights multiply distances in the draw and points in the mean. Both cost N·K·D multiply-adds, the second for each iteration.

use rand::{Rng, RngExt};
use rayon::prelude::*;

use super::Points;

/// Most of Lloyd's iterations in one start.
const MAX_ITERATIONS: usize = 50;

/// Centres `[K,D]` drawn by k-means++ (Arthur and Vassilvitskii 2007).
///
/// The first is a point drawn by weight, uniformly without any, each new one a point drawn with probability proportional
/// to the squared distance from the nearest centre so far.
pub fn kmeans_plus_plus(points: Points<'_>, k: usize, rng: &mut impl Rng) -> Vec<f64> {
    let first = match points.weights {
        None => rng.random_range(0..points.len()),
        Some(weights) => draw(points, weights, rng),
    };
    let mut centres = points.row(first).to_vec();
    let mut nearest = vec![f64::INFINITY; points.len()];
    while centres.len() < k * points.dim() {
        let last = &centres[centres.len() - points.dim()..];
        nearest.par_iter_mut().zip(points.par_rows()).for_each(|(n, x)| *n = n.min(squared_distance(x, last)));
        let shares: Vec<f64> = nearest.iter().zip(points.weights()).map(|(d, w)| d * w).collect();
        centres.extend_from_slice(points.row(draw(points, &shares, rng)));
    }
    centres
}

/// Index of a point drawn in proportion to `shares` `[N]`.
fn draw(points: Points<'_>, shares: &[f64], rng: &mut impl Rng) -> usize {
    let mut left = rng.random::<f64>() * shares.iter().sum::<f64>();
    let chosen = shares.iter().position(|share| {
        left -= share;
        left < 0.0
    });
    // Falls through only if all points coincide with a centre; the last one that counts is as good as any.
    chosen.or_else(|| (0..points.len()).rfind(|n| points.weight(*n) > 0.0)).unwrap_or(0)
}

/// Centres `[K,D]` of Lloyd's k-means, from k-means++ centres.
pub fn kmeans(points: Points<'_>, k: usize, rng: &mut impl Rng) -> Vec<f64> {
    let mut centres = kmeans_plus_plus(points, k, rng);
    let mut assignment = vec![usize::MAX; points.len()];
    for _ in 0..MAX_ITERATIONS {
        let next = assign(points, &centres);
        if next == assignment || points.is_stopped() {
            break;
        }
        assignment = next;
        let mut sums = vec![0.0; centres.len()];
        let mut counts = vec![0.0; k];
        for ((x, weight), &c) in points.rows().zip(points.weights()).zip(&assignment) {
            counts[c] += weight;
            for (s, x) in sums[c * points.dim()..].iter_mut().zip(x) {
                *s += weight * x;
            }
        }
        for (c, count) in counts.iter().enumerate().filter(|(_, n)| **n > 0.0) {
            for i in c * points.dim()..(c + 1) * points.dim() {
                centres[i] = sums[i] / count;
            }
        }
    }
    centres
}

/// Index of the nearest centre of each point `[N]`; the first of equals.
pub fn assign(points: Points<'_>, centres: &[f64]) -> Vec<usize> {
    points
        .par_rows()
        .map(|x| {
            let distances = centres.chunks_exact(points.dim()).map(|c| squared_distance(x, c));
            distances.enumerate().min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(c, _)| c)
        })
        .collect()
}

/// Weighted sum of the squared distances of the points from their nearest centres, what k-means minimises.
pub fn inertia(points: Points<'_>, centres: &[f64]) -> f64 {
    let nearest =
        |x: &[f64]| centres.chunks_exact(points.dim()).map(|c| squared_distance(x, c)).fold(f64::INFINITY, f64::min);
    let nearest: Vec<f64> = points.par_rows().map(nearest).collect();
    nearest.into_iter().zip(points.weights()).map(|(distance, weight)| weight * distance).sum()
}

/// Responsibilities `[N,K]` that are 1 for the assigned component and 0 elsewhere.
pub fn one_hot(assignment: &[usize], k: usize) -> Vec<f64> {
    let mut r = vec![0.0; assignment.len() * k];
    for (row, &c) in r.chunks_exact_mut(k).zip(assignment) {
        row[c] = 1.0;
    }
    r
}

/// Squared Euclidean distance of two points.
fn squared_distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}
