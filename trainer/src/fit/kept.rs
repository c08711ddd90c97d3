//! Which epoch's weights a stage goes on with: the last one's, unless an earlier one was clearly better on held-out frames.
//!
//! After every epoch the stage's own objective is measured on frames that it does not train on, frame by frame, under
//! views and latent samples that are the same every time, so that two epochs differ by their weights alone. What is
//! annealed in training is left out, so all epochs of a stage are measured alike. Each frame's value is smoothed over
//! epochs, and the weights are kept of the epoch whose smoothed mean is the highest.
//!
//! At the end these take the place of the last ones if they are better by more than two standard errors. Two kinds of
//! chance go into the error: which frames were held out, by the variance of the difference over frames, and at which
//! epoch a noisy training happens to stop, by the changes of the mean from epoch to epoch. Where there are few frames
//! the first is large. Where there are many, a training that does not learn by heart ends at its best, within the
//! second; so either way the last weights stay unless there is evidence against them.

use std::sync::Arc;

use serde::Serialize;

use crate::error::Result;
use crate::stage::StageName;

/// Weight of an epoch in the smoothed value: it spans about five epochs.
const SMOOTHING: f64 = 0.3;
/// Standard errors by which an earlier epoch must be better.
const ERRORS: f64 = 2.0;
/// Fewest held-out frames that are any evidence.
pub const FEWEST: usize = 10;
/// Most held-out frames that are looked at.
pub const MOST: usize = 500;

/// What is known of the epochs of a stage so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Watch {
    /// The objective of each held-out frame, smoothed over epochs, nats `[n]`; empty before the first epoch.
    pub(super) smoothed: Vec<f64>,
    /// Mean of the objective over the frames after each epoch, nats.
    pub(super) means: Vec<f64>,
    /// The best epoch so far.
    pub(super) best: Option<Best>,
}

/// An epoch and its weights.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Best {
    /// Number of the epoch, from 1.
    pub epoch: usize,
    /// [`Watch::smoothed`] after it.
    pub smoothed: Vec<f64>,
    /// All weights, Burn's own format; shared, since a checkpoint has them too.
    pub weights: Arc<Vec<u8>>,
}

/// The epoch whose weights a stage went on with, where it is not the last.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Kept {
    /// The stage, `pretrain` or `refine`.
    pub stage: StageName,
    /// Number of steps of the stage.
    pub step: usize,
    /// Number of the epoch in the stage, from 1.
    pub kept_epoch: usize,
    /// Number of epochs of the stage.
    pub epochs: usize,
    /// By how much its objective on held-out frames was better than the last one's, both smoothed, nats a frame.
    pub gain: f64,
}

impl Watch {
    /// Takes in an epoch by its `objective` of each held-out frame `[n]`, higher is better, and gives their mean; asks for
    /// the `weights` if it is the best so far.
    pub fn look(&mut self, objective: &[f64], weights: impl FnOnce() -> Result<Vec<u8>>) -> Result<f64> {
        let of_epoch = mean(objective.iter().copied());
        self.means.push(of_epoch);
        if self.smoothed.is_empty() {
            self.smoothed = objective.to_vec();
        } else {
            self.smoothed.iter_mut().zip(objective).for_each(|(s, o)| *s += SMOOTHING * (o - *s));
        }
        let now = mean(self.smoothed.iter().copied());
        if self.best.as_ref().is_none_or(|best| now > mean(best.smoothed.iter().copied())) {
            // Those of the epoch before are let go before others are made.
            self.best = None;
            let (epoch, smoothed) = (self.means.len(), self.smoothed.clone());
            self.best = Some(Best { epoch, smoothed, weights: Arc::new(weights()?) });
        }
        Ok(of_epoch)
    }

    /// The best epoch, from 1, what it is better by, and its weights; None if the last ones stay.
    pub fn end(self) -> Option<(usize, f64, Vec<u8>)> {
        let best = self.best?;
        let since = &self.means[best.epoch - 1..];
        if since.len() < 2 {
            return None;
        }
        let better: Vec<f64> = best.smoothed.iter().zip(&self.smoothed).map(|(b, last)| b - last).collect();
        let gain = mean(better.iter().copied());
        let of_frames = better.iter().map(|d| (d - gain).powi(2)).sum::<f64>()
            / (better.len() as f64 * better.len().saturating_sub(1) as f64);
        // Of independent noise, a change has twice its variance.
        let of_epochs = 0.5 * mean(since.windows(2).map(|pair| (pair[1] - pair[0]).powi(2)));
        let is_better = gain > ERRORS * (of_frames + of_epochs).sqrt();
        is_better.then(|| (best.epoch, gain, Arc::unwrap_or_clone(best.weights)))
    }
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let n = values.len() as f64;
    values.sum::<f64>() / n
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use rand_distr::StandardNormal;

    use super::*;

    /// The epoch that is kept of 40, of `n` frames with `level` after each epoch, plus noise of the frame, of the epoch, and
    /// of the frame in the epoch, with these deviations.
    fn kept(n: usize, level: impl Fn(usize) -> f64, noise: [f64; 3], seed: u64) -> Option<usize> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut draw = |deviation: f64| deviation * rng.sample::<f64, _>(StandardNormal);
        let of_frame: Vec<f64> = (0..n).map(|_| draw(noise[0])).collect();
        let mut watch = Watch::default();
        for epoch in 1..=40 {
            let of_epoch = level(epoch) + draw(noise[1]);
            let objective: Vec<f64> = of_frame.iter().map(|f| f + of_epoch + draw(noise[2])).collect();
            watch.look(&objective, || Ok(vec![epoch as u8])).unwrap();
        }
        watch.end().map(|(epoch, gain, weights)| {
            assert!(gain > 0.0 && weights == [epoch as u8]);
            epoch
        })
    }

    #[test]
    fn the_last_weights_stay_unless_an_earlier_epoch_is_clearly_better() {
        let rises = |epoch: usize| -100.0 / epoch as f64;
        let falls = |epoch: usize| -0.02 * (epoch as f64 - 15.0).powi(2);
        for seed in 0..20 {
            assert_eq!(kept(500, rises, [20.0, 0.2, 1.0], seed), None);
            // The optimum lies within the span of the smoothing.
            let found = kept(500, falls, [20.0, 0.2, 1.0], seed).unwrap();
            assert!((13..=20).contains(&found), "{found}");
        }
        // A level curve has a best epoch by chance alone: rarely taken, of few frames as of many.
        for n in [FEWEST, 100, 500] {
            let by_chance = (0..200).filter(|seed| kept(n, |_| 0.0, [20.0, 0.5, 2.0], *seed).is_some()).count();
            assert!(by_chance <= 20, "{by_chance} of 200 with {n} frames");
        }
        // A fall that so few frames cannot tell from chance.
        let slight = |epoch: usize| if epoch > 20 { -0.2 } else { 0.0 };
        let told = |n: usize| (0..20).filter(|seed| kept(n, slight, [20.0, 0.01, 1.0], *seed).is_some()).count();
        assert!(told(FEWEST) <= 6 && told(500) >= 18, "{} {}", told(FEWEST), told(500));
    }

    /// What training does is nothing that a value which is not finite may choose.
    #[test]
    fn a_value_that_is_not_finite_keeps_the_last_weights() {
        let mut watch = Watch::default();
        for value in [1.0, 2.0, f64::NAN, 0.0] {
            watch.look(&[value; FEWEST], || Ok(Vec::new())).unwrap();
        }
        assert_eq!(watch.end(), None);
        assert_eq!(Watch::default().end(), None);
    }
}
