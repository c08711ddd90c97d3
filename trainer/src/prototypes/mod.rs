//! What a cluster stands for, and what would move a frame to another one: in frames, not in
//! numbers.

mod border;
mod directions;
mod latents;

pub use border::{Component, step_to_border};
pub use directions::{Direction, principal_directions};
pub use latents::{Latents, components, decode};

use std::collections::BTreeMap;

use burn::tensor::Device;

use crate::data::{Frames, Source};
use crate::error::Result;
use crate::fitted::Fitted;

/// Number of real frames shown beside a decoded mean.
pub const NEAREST: usize = 3;
/// Number of typical frames of a cluster, and of doubtful ones.
pub const EXAMPLES: usize = 5;
/// Number of directions that are walked along.
pub const DIRECTIONS: usize = 2;
/// Places along a direction, in standard deviations from the cluster's mean.
pub const PLACES: [f64; 7] = [-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0];

/// A cluster by its decoded mean and by frames.
#[derive(Clone, Debug)]
pub struct Prototype {
    /// Number of the cluster, c.
    pub cluster: usize,
    /// Number of frames of which it is the most probable cluster.
    pub frames: usize,
    /// Mean of q(c|x) over all frames.
    pub share: f64,
    /// Standard deviation σ_c of the prior of the cluster.
    pub deviation: f64,
    /// Reconstruction at the centre, the mean of p(x|μ_c,c) `[P]`, in the units of the data.
    pub decoded_mean: Vec<f32>,
    /// Frames of the cluster with the smallest Euclidean distance to the decoded mean, as the model
    /// takes them.
    pub nearest: Vec<usize>,
    /// Frames of the cluster with the largest latent alignment E_q(z|x) log p(z|c).
    pub typical: Vec<usize>,
    /// Frames of the cluster with the smallest q(c|x).
    pub doubtful: Vec<usize>,
    /// Walks through μ_c along the widest directions of the cluster's latents, widest first.
    pub traversals: Vec<Traversal>,
}

/// Walk on a line through μ_c, and what the decoder makes of places on it.
#[derive(Clone, Debug)]
pub struct Traversal {
    /// The line, from [`principal_directions`] of the frames of the cluster.
    pub direction: Direction,
    /// Means of p(x|z,c) at [`PLACES`] `[7,P]`, in the units of the data.
    pub decoded: Vec<f32>,
}

/// Smallest move of a frame to its runner-up, and what the decoder makes of it.
#[derive(Clone, Debug)]
pub struct Change {
    /// Index of the frame.
    pub frame: usize,
    /// Most probable cluster c₁ of the frame, and the second, c₂.
    pub clusters: [usize; 2],
    /// Probabilities q(c₁|x) and q(c₂|x).
    pub probabilities: [f64; 2],
    /// Euclidean length of the smallest step from m to where both are as probable under the latent
    /// mixture, in units of the latent.
    pub length: f64,
    /// Mean of p(x|m,c₁) `[P]`, in the units of the data.
    pub before: Vec<f32>,
    /// Mean of p(x|m+δ,c₂) `[P]`, δ the step, in the units of the data.
    pub after: Vec<f32>,
}

/// The prototypes of all clusters among `frames`, of which `latents` says what the model makes.
///
/// # Errors
/// [`crate::Error::Data`] if the frames have another shape than the model takes.
pub fn prototypes(fitted: &Fitted, frames: &Frames, latents: &Latents, device: &Device) -> Result<Vec<Prototype>> {
    let scaled = fitted.prepare(frames)?.all()?;
    let (means, deviations, weights) = components(fitted)?;
    let d = latents.dim;
    let all: Vec<usize> = (0..deviations.len()).collect();
    let decoded_means = decode(fitted, &means, &all, device)?;
    all.iter()
        .map(|&cluster| {
            let mu = &means[cluster * d..][..d];
            let decoded_mean = decoded_means[cluster].clone();
            let mut target = decoded_mean.clone();
            if let Some(scaling) = &fitted.scaling {
                scaling.apply(&mut target);
            }
            let members = latents.members(cluster);
            let distance = |&n: &usize| -> f64 {
                scaled.frame(n).iter().zip(&target).map(|(a, b)| f64::from(a - b).powi(2)).sum()
            };
            let component = Component { mean: mu, variance: deviations[cluster].powi(2), log_weight: weights[cluster] };
            let alignment = |&n: &usize| component.alignment(latents.mean(n), latents.variance(n).iter().sum());
            Ok(Prototype {
                cluster,
                frames: members.len(),
                share: latents.share(cluster),
                deviation: deviations[cluster],
                decoded_mean,
                nearest: smallest(&members, NEAREST, distance),
                typical: smallest(&members, EXAMPLES, |n| -alignment(n)),
                doubtful: smallest(&members, EXAMPLES, |&n| f64::from(latents.log_q(n)[cluster])),
                traversals: traversals(fitted, latents, &members, cluster, mu, device)?,
            })
        })
        .collect()
}

/// Walks along the widest directions of the latents of a cluster; none if it has no frames.
fn traversals(
    fitted: &Fitted,
    latents: &Latents,
    members: &[usize],
    cluster: usize,
    mu: &[f64],
    device: &Device,
) -> Result<Vec<Traversal>> {
    if members.is_empty() {
        return Ok(Vec::new());
    }
    let of =
        |f: fn(&Latents, usize) -> &[f64]| members.iter().flat_map(|&n| f(latents, n)).copied().collect::<Vec<_>>();
    let directions = principal_directions(&of(Latents::mean), &of(Latents::variance), latents.dim);
    directions
        .into_iter()
        .take(DIRECTIONS)
        .map(|direction| {
            let place = |t: f64| mu.iter().zip(&direction.axis).map(move |(m, a)| m + t * a);
            let z: Vec<f64> = PLACES.iter().flat_map(|t| place(t * direction.deviation).collect::<Vec<_>>()).collect();
            let decoded = decode(fitted, &z, &[cluster; PLACES.len()], device)?.concat();
            Ok(Traversal { direction, decoded })
        })
        .collect()
}

/// The frames of all with the smallest confidence, at most `count`, least sure first.
pub fn doubtful(latents: &Latents, count: usize) -> Vec<usize> {
    let all: Vec<usize> = (0..latents.len()).collect();
    smallest(&all, count, |&n| f64::from(latents.log_q(n)[latents.clusters[n]]))
}

/// The surest frame of every cluster among those with a confidence below `below`, at most `count`,
/// by cluster: doubtful, yet clearly on one side.
///
/// If there is none, the least sure frames of all.
pub fn nearly_sure(latents: &Latents, below: f64, count: usize) -> Vec<usize> {
    let mut best: BTreeMap<usize, usize> = BTreeMap::new();
    for n in (0..latents.len()).filter(|&n| latents.confidence(n) < below) {
        let surest = best.entry(latents.clusters[n]).or_insert(n);
        if latents.confidence(n) > latents.confidence(*surest) {
            *surest = n;
        }
    }
    if best.is_empty() { doubtful(latents, count) } else { best.into_values().take(count).collect() }
}

/// Smallest moves to the runner-up of the frames `which`; those that no step moves are left out.
pub fn changes(fitted: &Fitted, latents: &Latents, which: &[usize], device: &Device) -> Result<Vec<Change>> {
    let (means, deviations, weights) = components(fitted)?;
    let d = latents.dim;
    let mut found = Vec::new();
    for &frame in which {
        let clusters = latents.best_two(frame);
        let [first, second] = clusters.map(|c| Component {
            mean: &means[c * d..][..d],
            variance: deviations[c].powi(2),
            log_weight: weights[c],
        });
        let m = latents.mean(frame);
        let Some(step) = step_to_border(first, second, m, latents.variance(frame).iter().sum()) else { continue };
        let border: Vec<f64> = m.iter().zip(&step).map(|(m, s)| m + s).collect();
        let mut decoded = decode(fitted, &[m, &border].concat(), &clusters, device)?.into_iter();
        let mut next = || decoded.next().unwrap_or_default();
        let (before, after) = (next(), next());
        found.push(Change {
            frame,
            clusters,
            probabilities: clusters.map(|c| f64::from(latents.log_q(frame)[c]).exp()),
            length: step.iter().map(|s| s * s).sum::<f64>().sqrt(),
            before,
            after,
        });
    }
    Ok(found)
}

/// Those of `items` with the smallest keys, at most `count`, smallest first; the earlier one of
/// equals.
fn smallest(items: &[usize], count: usize, key: impl Fn(&usize) -> f64) -> Vec<usize> {
    let mut keyed: Vec<(f64, usize)> = items.iter().map(|n| (key(n), *n)).collect();
    keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
    keyed.into_iter().take(count).map(|(_, n)| n).collect()
}
