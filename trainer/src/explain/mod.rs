//! Why a frame went to its cluster: three maps over its values, each from forward passes alone.
//!
//! | map | of a value x_p | question |
//! |---|---|---|
//! | [`trust`] | exp(-½ E(x_p - x̂_p)²/s²) | where does the reconstruction hold? |
//! | [`contrast`] | E log p(x_p\|z,c₁) - E log p(x_p\|z,c₂), nats | why c₁ and not c₂? |
//! | [`surprise`] | -log p(x_p\|x,c₁), standardised | where is what the model does not expect? |
//!
//! Trust is the critic of the paper, in closed form. c₁ and c₂ are the two most probable clusters
//! as the device ranks them. E is over q(z|x), at the points of [`expectation`]. A frame costs 2D
//! passes of the decoder for each of three expectations: under c₁, under c₂, and under c₂ at the
//! latent of its counterpart there; all maps are made from those. The mixture on the values has
//! maps of its own, those of its Gaussians.

pub mod contrast;
pub mod expectation;
pub mod heatmap;
mod linear;
mod names;
pub mod surprise;
pub mod trust;

pub use names::names;

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::config::EncoderKind;
use crate::data::Source;
use crate::error::{Error, Result};
use crate::fitted::{Fitted, encode, to_host};
use crate::model::{ClusterVae, Posterior};
use crate::ranking::best_two;
use expectation::{Expectation, nodes};

/// One of the three maps that explain a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Map {
    /// How far the reconstruction of a value holds, 0 to 1
    Trust,
    /// Evidence of a value for the cluster and against the runner-up, nats
    Contrast,
    /// Surprise of a value under the cluster, standard deviations
    Surprise,
}

impl Map {
    /// All maps: trust, contrast, surprise.
    pub const ALL: [Self; 3] = [Self::Trust, Self::Contrast, Self::Surprise];
}

impl std::fmt::Display for Map {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Trust => "trust",
            Self::Contrast => "contrast",
            Self::Surprise => "surprise",
        })
    }
}

/// Why a frame went to its cluster, as the decoder sees it; values are in the frame's order `[P]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// The most probable cluster, c₁.
    pub cluster: usize,
    /// The second most probable cluster, c₂; c₁ again in a model of one cluster, whose contrast is
    /// 0.
    pub runner_up: usize,
    /// Log-probabilities log q(c|x) of the clusters `[K]`, nats, as the device computes them.
    pub log_q: Vec<f32>,
    /// Reconstruction of the frame, the mean of p(x|m,c₁) `[P]`, in the units of the data.
    pub reconstruction: Vec<f32>,
    /// Trust in each value `[P]`, in (0, 1].
    pub trust: Vec<f32>,
    /// Contrast of c₁ and c₂ at the same z, of each value `[P]`, nats.
    pub contrast: Vec<f32>,
    /// Surprise of each value under c₁ `[P]`, standard deviations.
    pub surprise: Vec<f32>,
    /// Contrast against the frame's counterpart in c₂, instead of against c₂ at the same z `[P]`,
    /// nats; see [`contrast::map`].
    pub counterfactual: Vec<f32>,
}

impl Explanation {
    /// The values of one of the maps `[P]`.
    pub fn map(&self, map: Map) -> &[f32] {
        match map {
            Map::Trust => &self.trust,
            Map::Contrast => &self.contrast,
            Map::Surprise => &self.surprise,
        }
    }
}

/// Explains frames in the units of the data.
///
/// # Errors
/// [`Error::Data`] if they have another shape than the model takes, or lie so far out that a map is
/// not finite.
pub fn explain(fitted: &Fitted, frames: &dyn Source, device: &Device) -> Result<Vec<Explanation>> {
    explain_as(fitted, frames, None, device)
}

/// Explains frames as [`explain`] does, with the clusters c₁ and c₂ of each frame given.
///
/// # Errors
/// As for [`explain`].
///
/// # Panics
/// If there are not as many pairs as frames, or a cluster is not below K.
pub fn explain_between(
    fitted: &Fitted,
    frames: &dyn Source,
    pairs: &[[usize; 2]],
    device: &Device,
) -> Result<Vec<Explanation>> {
    assert_eq!(pairs.len(), frames.len(), "a pair of clusters for each frame");
    assert!(pairs.iter().flatten().all(|c| *c < fitted.model.prior.clusters()), "clusters below K");
    explain_as(fitted, frames, Some(pairs), device)
}

/// Explains frames part by part; `pairs` are the clusters of each frame, if they are given.
fn explain_as(
    fitted: &Fitted,
    frames: &dyn Source,
    pairs: Option<&[[usize; 2]]>,
    device: &Device,
) -> Result<Vec<Explanation>> {
    let scaled = fitted.prepare(frames)?;
    let noise = trust::noise(&fitted.model)?;
    let mut explanations = Vec::with_capacity(frames.len());
    encode(&fitted.model, &scaled, device, |first, x, posterior| {
        let pairs = pairs.map(|pairs| &pairs[first..first + x.dims()[0]]);
        let part = of_part(fitted, x, &posterior, pairs, noise)?;
        if let Some(at) = part.iter().position(|e| !is_finite(e)) {
            let problem = format!("frame {} lies too far from what the model was fitted to: no map", first + at);
            return Err(Error::data("frames", problem));
        }
        explanations.extend(part);
        Ok(())
    })?;
    Ok(explanations)
}

/// Explains the frames of one part, `x` `[B,P]`, which is scaled and encoded; `noise` is s².
fn of_part(
    fitted: &Fitted,
    x: Tensor<2>,
    posterior: &Posterior,
    pairs: Option<&[[usize; 2]]>,
    noise: f32,
) -> Result<Vec<Explanation>> {
    let model = &fitted.model;
    let log_q = to_host(fitted.log_responsibilities(posterior))?;
    let pairs = pairs.map_or_else(|| log_q.chunks_exact(model.prior.clusters()).map(best_two).collect(), <[_]>::to_vec);
    let [first, second] = [0, 1].map(|rank| indices(pairs.iter().map(|pair| pair[rank]), &x.device()));

    let p = x.dims()[1];
    let [reconstruction, trust, contrast, counterfactual, surprise] = match fitted.config.encoder.kind {
        EncoderKind::Identity => {
            let maps = linear::maps(model, x, posterior, first, second);
            let contrast = maps.contrast;
            [maps.reconstruction, maps.trust, contrast.clone(), contrast, maps.surprise]
        }
        EncoderKind::Network | EncoderKind::Auto => of_network(model, x, posterior, first, second, noise),
    };
    let mut reconstruction = to_host(reconstruction)?;
    let [trust, contrast, counterfactual, surprise] = [trust, contrast, counterfactual, surprise].map(to_host);
    let (trust, contrast, counterfactual, surprise) = (trust?, contrast?, counterfactual?, surprise?);
    if let Some(scaling) = &fitted.scaling {
        scaling.undo(&mut reconstruction);
    }
    let row = |values: &[f32], n: usize, width: usize| values[n * width..(n + 1) * width].to_vec();
    Ok(pairs
        .into_iter()
        .enumerate()
        .map(|(n, [cluster, runner_up])| Explanation {
            cluster,
            runner_up,
            log_q: row(&log_q, n, model.prior.clusters()),
            reconstruction: row(&reconstruction, n, p),
            trust: row(&trust, n, p),
            contrast: row(&contrast, n, p),
            surprise: row(&surprise, n, p),
            counterfactual: row(&counterfactual, n, p),
        })
        .collect())
}

/// Reconstruction, trust, contrast, contrast to the counterpart and surprise by the decoder of a network, each `[B,P]`.
fn of_network(
    model: &ClusterVae,
    x: Tensor<2>,
    posterior: &Posterior,
    first: Tensor<1, Int>,
    second: Tensor<1, Int>,
    noise: f32,
) -> [Tensor<2>; 5] {
    let decoder = &model.decoder;
    let of_first = Expectation::new(decoder, x.clone(), nodes(posterior), first.clone());
    let of_second = Expectation::new(decoder, x.clone(), nodes(posterior), second.clone());
    let shift = contrast::shift(&model.prior, first.clone(), second.clone());
    let moved = nodes(posterior).map(|z| z + shift.clone());
    let of_counterpart = Expectation::new(decoder, x.clone(), moved, second);
    [
        reconstruct(model, posterior, first),
        trust::map(&of_first, noise),
        contrast::map(&of_first, &of_second),
        contrast::map(&of_first, &of_counterpart),
        surprise::map(&of_first, x, decoder),
    ]
}

/// Reconstruction of frames, the mean of p(x|m,c) `[B,P]`, for one c a frame.
fn reconstruct(model: &ClusterVae, posterior: &Posterior, cluster: Tensor<1, Int>) -> Tensor<2> {
    model.decoder.mean(model.decoder.forward_of(posterior.mu_z.clone(), cluster))
}

/// Clusters as a tensor `[B]`.
pub(crate) fn indices(clusters: impl Iterator<Item = usize>, device: &Device) -> Tensor<1, Int> {
    let values: Vec<i64> = clusters.map(|c| c as i64).collect();
    let count = values.len();
    Tensor::from_data(TensorData::new(values, [count]), device)
}

/// Whether every value of an explanation is a finite number.
fn is_finite(explanation: &Explanation) -> bool {
    let e = explanation;
    let maps = [&e.trust, &e.contrast, &e.surprise, &e.counterfactual, &e.reconstruction];
    maps.into_iter().flatten().all(|v| v.is_finite())
}
