//! How good a model is: against labels (which only score), and by its own bound.

pub mod calibration;
mod exported;
mod scores;

pub use calibration::{Reliability, against_labels, against_views, auroc, calibration};
pub use exported::{Exported, assign};
pub use scores::{Scores, matching, scores};

use burn::tensor::Device;
use runtime::Assignment;

use crate::data::{Source, each_frame};
use crate::error::{Error, Result};
use crate::fitted::{BoundReport, Fitted, encode, to_host};
use crate::ranking::argmax;

/// Clusters, probabilities and novelty that a model gives to N frames.
#[derive(Clone, Debug, Default)]
pub struct Predictions {
    /// Most probable cluster `[N]`.
    pub clusters: Vec<usize>,
    /// Log-probabilities log q(c|x) `[N,K]`, nats.
    pub log_responsibilities: Vec<f32>,
    /// Novelty of each frame `[N]`, nats.
    pub novelty: Vec<f32>,
}

impl Predictions {
    /// Number of clusters K; 0 if there are no frames.
    pub fn width(&self) -> usize {
        self.log_responsibilities.len().checked_div(self.clusters.len()).unwrap_or(0)
    }

    /// Probability q(c|x) of the most probable cluster of each frame `[N]`.
    pub fn confidences(&self) -> Vec<f64> {
        let rows = self.log_responsibilities.chunks_exact(self.width().max(1)).zip(&self.clusters);
        rows.map(|(row, &cluster)| f64::from(row[cluster].exp())).collect()
    }

    /// Share of frames that `other` puts in the same cluster, and the largest difference of a
    /// responsibility.
    pub fn agreement(&self, other: &Predictions) -> (f64, f32) {
        let same = self.clusters.iter().zip(&other.clusters).filter(|(a, b)| a == b).count();
        let difference = self
            .log_responsibilities
            .iter()
            .zip(&other.log_responsibilities)
            .map(|(a, b)| (a.exp() - b.exp()).abs())
            .fold(0.0, f32::max);
        (same as f64 / self.clusters.len().max(1) as f64, difference)
    }
}

/// What [`evaluate`] finds.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// Cluster, log q(c|x) and novelty of every frame.
    pub predictions: Predictions,
    /// Agreement of the clusters with the labels of the frames; None without labels.
    pub scores: Option<Scores>,
    /// The bounds of the paper, means over the frames, nats.
    pub bound: BoundReport,
}

/// Labels frames with a fitted model, scores that against their labels if they have any, and evaluates the bounds of the
/// paper with `samples` samples of z a frame.
///
/// # Errors
/// [`Error::Data`] if the frames have another shape than the model takes.
pub fn evaluate(fitted: &Fitted, frames: &dyn Source, samples: usize, device: &Device) -> Result<Evaluation> {
    let predictions = predict(fitted, frames, device)?;
    let scores = frames.labels().map(|labels| scores(&predictions.clusters, labels));
    Ok(Evaluation { predictions, scores, bound: bound(fitted, frames, samples, device)? })
}

/// The bounds of the paper, each z sampled `samples` times.
///
/// # Errors
/// [`Error::Data`] if the frames have another shape than the model takes.
pub fn bound(fitted: &Fitted, frames: &dyn Source, samples: usize, device: &Device) -> Result<BoundReport> {
    crate::fitted::bound(&fitted.model, &fitted.config, &fitted.prepare(frames)?, samples, device)
}

/// Predictions of the model as it was trained, in f32 and with the training framework.
///
/// # Errors
/// [`Error::Data`] if the frames have another shape than the model takes.
pub fn predict(fitted: &Fitted, frames: &dyn Source, device: &Device) -> Result<Predictions> {
    let scaled = fitted.prepare(frames)?;
    let mut predictions = Predictions::default();
    encode(&fitted.model, &scaled, device, |_, x, posterior| {
        let log_q = fitted.log_responsibilities(&posterior);
        predictions.log_responsibilities.extend(to_host(log_q)?);
        predictions.novelty.extend(to_host(fitted.novelty(x, &posterior))?);
        Ok(())
    })?;
    let k = fitted.config.clusters();
    predictions.clusters = predictions.log_responsibilities.chunks_exact(k).map(argmax).collect();
    Ok(predictions)
}

/// Latent means m of all frames, `[N,D]`.
///
/// # Errors
/// [`Error::Data`] if the frames have another shape than the model takes.
pub fn latents(fitted: &Fitted, frames: &dyn Source, device: &Device) -> Result<Vec<f32>> {
    let mut means = Vec::new();
    encode(&fitted.model, &fitted.prepare(frames)?, device, |_, _, posterior| {
        means.extend(to_host(posterior.mu_z)?);
        Ok(())
    })?;
    Ok(means)
}

/// Assignments of the model as it was trained, as an engine would give them.
///
/// # Errors
/// [`Error::Data`] if the frames have another shape than the model takes.
pub fn assignments(fitted: &Fitted, frames: &dyn Source, device: &Device) -> Result<Vec<Assignment>> {
    let found = predict(fitted, frames, device)?;
    let rows = found.log_responsibilities.chunks_exact(found.width().max(1));
    let range = fitted.seen.as_ref().and_then(|seen| seen.range(fitted.shape));
    let mut outside = Vec::with_capacity(frames.len());
    each_frame(frames, |frame| outside.push(range.is_some_and(|range| !range.holds(frame))))?;
    let assignment = |n: usize, row: &[f32], is_outside: bool| {
        let (cluster, novelty) = (found.clusters[n], found.novelty[n]);
        let others = (0..row.len()).filter(|c| *c != cluster);
        let log_responsibilities = heapless::Vec::from_slice(row)
            .map_err(|_| Error::data("frames", format!("{} clusters, at most {}", row.len(), runtime::MAX_CLUSTERS)))?;
        Ok(Assignment {
            cluster,
            confidence: row[cluster].exp(),
            runner_up: others.max_by(|&a, &b| row[a].total_cmp(&row[b])),
            novelty,
            is_novel: novelty > fitted.calibration.novelty_threshold,
            is_outside,
            log_responsibilities,
        })
    };
    rows.zip(outside).enumerate().map(|(n, (row, is_outside))| assignment(n, row, is_outside)).collect()
}

impl From<&[Assignment]> for Predictions {
    fn from(assignments: &[Assignment]) -> Self {
        Self {
            clusters: assignments.iter().map(|a| a.cluster).collect(),
            log_responsibilities: assignments.iter().flat_map(|a| a.log_responsibilities.iter().copied()).collect(),
            novelty: assignments.iter().map(|a| a.novelty).collect(),
        }
    }
}
