//! How far the clusters are an accident of the frames, by models that were fitted to half of them each.
//!
//! A random view of a frame goes where the frame goes even where the model is wrong, since stage 3 asks just that of it. A
//! model of other frames does not: where it puts a frame elsewhere, no model should be sure. That two trainings disagree
//! as often as one of them errs is observed of classifiers (Y. Jiang et al., Assessing Generalization of SGD via
//! Disagreement, 2022). Each model tells of the frames that it was not fitted to.

use serde::Serialize;

use super::calibrate::{log_responsibilities, temperature};
use super::contest::OfHalf;
use super::training_data::TrainingData;
use crate::error::Result;
use crate::matching::one_to_one;
use crate::model::ClusterVae;
use crate::ranking::argmax;

/// What models of halves of the frames say of a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Halves {
    /// Number of halves whose clusters did not collapse.
    pub models: usize,
    /// Share of the frames that a model of a half, not fitted to them, puts where the model puts them, its clusters
    /// matched one to one.
    pub agree: f64,
    /// The temperature at which q(c|x) says best where those put a frame, at least 1.
    pub temperature: f64,
}

/// Compares `model` with what models of halves say of the same frames; None if there is none.
pub fn compare(model: &ClusterVae, data: &TrainingData<'_>, halves: &[OfHalf]) -> Result<Option<Halves>> {
    if halves.is_empty() {
        return Ok(None);
    }
    let (training, k) = (data.training(), model.prior.clusters());
    let log_q = [log_responsibilities(model, training)?, log_responsibilities(model, &data.held_out)?].concat();
    let clusters: Vec<usize> = log_q.chunks_exact(k).map(argmax).collect();
    let (mut rows, mut told, mut agree) = (Vec::new(), Vec::new(), 0);
    for OfHalf { fitted, clusters: seen } in halves {
        let of_halves = seen.iter().max().map_or(k, |most| k.max(most + 1));
        let mut counts = vec![vec![0; k]; of_halves];
        seen.iter().zip(&clusters).for_each(|(&of_half, &own)| counts[of_half][own] += 1);
        let of_witness = one_to_one(&counts).1;
        let mut known = vec![false; clusters.len()];
        fitted.iter().for_each(|&frame| known[frame] = true);
        for frame in (0..clusters.len()).filter(|&frame| !known[frame]) {
            let Some(cluster) = of_witness[seen[frame]] else { continue };
            rows.extend_from_slice(&log_q[frame * k..(frame + 1) * k]);
            told.push(cluster);
            agree += usize::from(cluster == clusters[frame]);
        }
    }
    let agree = agree as f64 / told.len() as f64;
    Ok(Some(Halves { models: halves.len(), agree, temperature: temperature(&rows, &told) }))
}
