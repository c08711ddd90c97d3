//! Whether a confidence means what it says: reliability, calibration error, ranking.

use burn::tensor::Device;
use rand::Rng;
use serde::Serialize;

use super::{Predictions, matching, predict};
use crate::config::{AugmentConfig, AugmentKind};
use crate::data::views::Augmentation;
use crate::data::{Frames, Source, chunks_of};
use crate::error::Result;
use crate::fitted::{Fitted, encoded_at_once};

/// Bins of equal width that the calibration error is computed with, as in Guo et al. (2017).
pub const BINS: usize = 15;

/// The predictions whose confidence falls in one bin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Bin {
    /// Number of predictions in the bin.
    pub count: usize,
    /// Mean confidence of the predictions in the bin; 0 if there are none.
    pub confidence: f64,
    /// Share of the predictions in the bin that is right; 0 if there are none.
    pub accuracy: f64,
}

/// Agreement of confidences with what comes true.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reliability {
    /// Bins of equal width over `[0, 1]`, [`BINS`] of them.
    pub bins: Vec<Bin>,
    /// Expected calibration error: Σ_b n_b/N |accuracy_b - confidence_b| (Guo et al. 2017, eq. 3).
    pub ece: f64,
    /// Probability that a right prediction has a higher confidence than a wrong one, ties counted
    /// half; None if all are right or all are wrong.
    pub auroc: Option<f64>,
}

/// Reliability of confidences in `[0, 1]` `[N]` against whether each prediction is right `[N]`.
///
/// A confidence on the border of two bins belongs to the lower one, 0 to the first.
///
/// # Panics
/// If the lengths differ.
pub fn calibration(confidences: &[f64], right: &[bool]) -> Reliability {
    assert_eq!(confidences.len(), right.len());
    let mut bins = vec![Bin::default(); BINS];
    for (&confidence, &right) in confidences.iter().zip(right) {
        let bin = &mut bins[((confidence * BINS as f64).ceil() as usize).clamp(1, BINS) - 1];
        bin.count += 1;
        bin.confidence += confidence;
        bin.accuracy += f64::from(u8::from(right));
    }
    let mut ece = 0.0;
    for bin in bins.iter_mut().filter(|bin| bin.count > 0) {
        ece += (bin.accuracy - bin.confidence).abs() / confidences.len() as f64;
        bin.confidence /= bin.count as f64;
        bin.accuracy /= bin.count as f64;
    }
    Reliability { bins, ece, auroc: auroc(confidences, right) }
}

/// How often a cluster is that of the frame's class, one cluster to one class, against its
/// confidence.
///
/// Labels only score.
///
/// # Panics
/// If there are not as many labels as predictions.
pub fn against_labels(predictions: &Predictions, labels: &[u32]) -> Reliability {
    let mut classes = labels.to_vec();
    classes.sort_unstable();
    classes.dedup();
    let matched = matching(&predictions.clusters, labels);
    let class = |cluster: usize| matched.get(cluster).copied().flatten().and_then(|rank| classes.get(rank));
    let right: Vec<bool> = predictions.clusters.iter().zip(labels).map(|(c, l)| class(*c) == Some(l)).collect();
    calibration(&predictions.confidences(), &right)
}

/// How often a random view of a frame goes to the frame's cluster, against the frame's confidence.
///
/// Nobody needs to know a label for it. The views are those of stage 3; where neighbours stood for
/// views, the maps for this kind of frame. None where views are the frames themselves.
///
/// # Errors
/// [`crate::Error::Data`] if the frames have another shape than the model takes.
pub fn against_views(
    fitted: &Fitted,
    frames: &dyn Source,
    predictions: &Predictions,
    rng: &mut impl Rng,
    device: &Device,
) -> Result<Option<Reliability>> {
    let config = &fitted.inner_config();
    let augment = match config.augment.kind {
        AugmentKind::None => return Ok(None),
        AugmentKind::Neighbours => AugmentConfig { kind: AugmentKind::Auto, ..config.augment.clone() },
        _ => config.augment.clone(),
    };
    let prepared = fitted.prepare(frames)?;
    let (preparation, shape) = (fitted.preparation(), prepared.shape());
    let mut maps = Augmentation::new(&augment, shape, config.kind(), config.refine.strength);
    let mut sources = prepared.clone();
    if let (Some(windows), Some(standardised)) = (preparation.windows(), preparation.of_standardised(fitted.shape))
        && maps.maps_windows()
    {
        maps = maps.of_windows(fitted.shape, standardised);
        sources = prepared.with(windows);
    }
    // Views are prepared already.
    let inner = Fitted { scaling: None, ..fitted.of_features() };
    let mut of_views = Vec::with_capacity(frames.len());
    for chunk in chunks_of(&sources, encoded_at_once(fitted.shape)) {
        let frames = chunk?.1;
        let (p, source) = (shape.len(), sources.shape().len());
        let mut values = vec![0.0; frames.len() / source * p];
        for (frame, view) in frames.chunks_exact(source).zip(values.chunks_exact_mut(p)) {
            maps.apply(frame, view, rng);
        }
        of_views.extend(predict(&inner, &Frames { shape, values, labels: None }, device)?.clusters);
    }
    let same: Vec<bool> = predictions.clusters.iter().zip(&of_views).map(|(a, b)| a == b).collect();
    Ok(Some(calibration(&predictions.confidences(), &same)))
}

/// Area under the ROC curve of `scores` `[N]` for the frames that are `positive` `[N]`.
///
/// It is the probability that a positive one scores higher than a negative one, ties counted half
/// (Mann and Whitney 1947). None if all are positive or none is.
///
/// # Panics
/// If the lengths differ.
pub fn auroc(scores: &[impl Copy + Into<f64>], positive: &[bool]) -> Option<f64> {
    assert_eq!(scores.len(), positive.len());
    let scores: Vec<f64> = scores.iter().map(|score| (*score).into()).collect();
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    let positives = positive.iter().filter(|p| **p).count();
    let negatives = scores.len() - positives;
    if positives == 0 || negatives == 0 {
        return None;
    }
    let mut below = 0;
    let mut wins = 0.0;
    for tied in order.chunk_by(|&a, &b| scores[a] == scores[b]) {
        let here = tied.iter().filter(|&&n| positive[n]).count();
        let others = tied.len() - here;
        wins += here as f64 * (below as f64 + 0.5 * others as f64);
        below += others;
    }
    Some(wins / (positives as f64 * negatives as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reliability_of_a_hand_computed_case() {
        let found = calibration(&[0.95, 0.95, 0.95, 0.95, 0.55, 0.55], &[true, true, true, false, true, false]);
        // Bins of 1/15: 0.95 lies in the last, 0.55 in the ninth.
        assert_eq!((found.bins[14].count, found.bins[8].count), (4, 2));
        assert!((found.bins[14].accuracy - 0.75).abs() < 1e-12 && (found.bins[14].confidence - 0.95).abs() < 1e-12);
        assert!((found.ece - (4.0 / 6.0 * 0.2 + 2.0 / 6.0 * 0.05)).abs() < 1e-12);
        // Right: 0.95 three times and 0.55; wrong: 0.95 and 0.55. Wins 3, ties 3 and 1, of 8 pairs.
        assert_eq!(found.auroc, Some((3.0 + 0.5 * 4.0) / 8.0));
    }

    #[test]
    fn a_confidence_on_a_border_belongs_to_the_lower_bin() {
        let bins = calibration(&[0.0, 0.2, 1.0], &[true; 3]).bins;
        assert_eq!((bins[0].count, bins[2].count, bins[14].count), (1, 1, 1));
    }

    #[test]
    fn auroc_of_perfect_reversed_and_tied_scores() {
        let positive = [false, false, true, true];
        assert_eq!(auroc(&[0.1, 0.2, 0.3, 0.4], &positive), Some(1.0));
        assert_eq!(auroc(&[0.4, 0.3, 0.2, 0.1], &positive), Some(0.0));
        assert_eq!(auroc(&[0.5; 4], &positive), Some(0.5));
        assert_eq!(auroc(&[0.1, 0.4, 0.35, 0.8], &positive), Some(0.75));
        assert_eq!((auroc(&[0.1], &[true]), auroc(&[0.0; 0], &[])), (None, None));
    }

    #[test]
    fn frames_that_are_right_as_often_as_said_have_no_calibration_error() {
        let confidences: Vec<f64> = (0..1000).map(|_| 0.8).collect();
        let right: Vec<bool> = (0..1000).map(|n| n % 5 != 0).collect();
        let found = calibration(&confidences, &right);
        assert!(found.ece < 1e-12);
        assert!((found.auroc.unwrap_or_default() - 0.5).abs() < 1e-12);
    }
}
