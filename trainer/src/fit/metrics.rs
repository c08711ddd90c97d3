//! What a run writes down: averages over an epoch, and the result of EM.

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use serde::Serialize;

use super::stage::{Outcome, to_host};
use crate::error::{Error, Result};

/// A cluster with a smaller share of the frames than this, relative to 1/K, counts as inactive.
const ACTIVE_SHARE: f32 = 0.1;

/// Averages over an epoch.
#[derive(Clone, Debug, Serialize)]
pub struct Epoch {
    /// `pretrain` or `refine`.
    pub stage: &'static str,
    /// From 1.
    pub epoch: usize,
    /// Epochs of the stage.
    pub epochs: usize,
    /// Steps done in the stage.
    pub step: usize,
    /// Means by name, nats unless the name says otherwise.
    #[serde(flatten)]
    pub values: BTreeMap<&'static str, f32>,
}

/// How EM went.
#[derive(Clone, Debug, Serialize)]
pub struct MixtureReport {
    /// Always `mixture`.
    pub stage: &'static str,
    /// Mean log-likelihood of a latent mean, nats.
    pub log_likelihood: f64,
    /// Whether the best start had converged.
    pub converged: bool,
    /// Iterations of the best start.
    pub iterations: usize,
    /// What split-and-merge moves added to the mean log-likelihood, nats.
    pub gain_of_moves: f64,
    /// H(q̄) / log K: 1 if all components have the same share.
    pub balance: f64,
    /// Smallest share of a component.
    pub smallest_share: f64,
}

/// Running sums that stay on the device until someone asks.
#[derive(Default)]
pub struct Sums {
    names: Vec<&'static str>,
    sums: Option<Tensor<1>>,
    shares: Option<Tensor<1>>,
    steps: usize,
}

impl Sums {
    /// Adds a step.
    pub fn add(&mut self, outcome: &Outcome) {
        self.names = outcome.values.iter().map(|(name, _)| *name).collect();
        let values = Tensor::cat(outcome.values.iter().map(|(_, v)| v.clone().inner()).collect(), 0);
        let accumulate = |sum: Option<Tensor<1>>, value: Tensor<1>| {
            Some(match sum {
                Some(sum) => sum + value,
                None => value,
            })
        };
        self.sums = accumulate(self.sums.take(), values);
        if let Some(shares) = &outcome.shares {
            self.shares = accumulate(self.shares.take(), shares.clone().inner());
        }
        self.steps += 1;
    }

    /// Fails, naming the value, if a sum is not finite.
    pub fn check(&self, stage: &'static str, step: usize) -> Result<()> {
        let Some(sums) = &self.sums else { return Ok(()) };
        for (name, value) in self.names.iter().zip(to_host(sums.clone())?) {
            if !value.is_finite() {
                return Err(Error::Diverged { what: (*name).to_owned(), stage, step });
            }
        }
        Ok(())
    }

    /// Averages by name, with the balance of the clusters if there are any.
    pub fn means(self) -> Result<BTreeMap<&'static str, f32>> {
        let mut means = BTreeMap::new();
        let steps = self.steps.max(1) as f32;
        if let Some(sums) = self.sums {
            means.extend(self.names.into_iter().zip(to_host(sums / steps)?));
        }
        if let Some(shares) = self.shares {
            let shares = to_host(shares / steps)?;
            let k = shares.len() as f32;
            let entropy: f32 = shares.iter().filter(|s| **s > 0.0).map(|s| -s * s.ln()).sum();
            means.insert("marginal_entropy", entropy);
            means.insert("smallest_share", shares.iter().copied().fold(f32::INFINITY, f32::min));
            means.insert("active_clusters", shares.iter().filter(|s| **s > ACTIVE_SHARE / k).count() as f32);
        }
        Ok(means)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn outcome(loss: f32, share: f32) -> Outcome {
        let device = Device::flex().autodiff();
        let loss = Tensor::<1>::from_floats([loss], &device);
        let shares = Tensor::<1>::from_floats([share, 1.0 - share], &device);
        Outcome { values: vec![("loss", loss.clone()), ("other", loss.clone() * 0.0)], loss, shares: Some(shares) }
    }

    #[test]
    fn a_value_that_is_not_finite_is_named_with_its_stage_and_step() {
        for bad in [f32::NAN, f32::INFINITY] {
            let mut sums = Sums::default();
            sums.add(&outcome(1.0, 0.5));
            assert!(sums.check("refine", 0).is_ok());
            sums.add(&outcome(bad, 0.5));
            sums.add(&outcome(1.0, 0.5));
            let error = sums.check("refine", 49).unwrap_err();
            assert_eq!(error.exit_code(), 4);
            assert!(
                error.to_string().starts_with("training diverged: loss is not finite at refine step 49"),
                "{error}"
            );
        }
    }

    #[test]
    fn means_and_balance_of_an_epoch() {
        let mut sums = Sums::default();
        sums.add(&outcome(1.0, 0.99));
        sums.add(&outcome(2.0, 0.97));
        let means = sums.means().unwrap();
        assert!((means["loss"] - 1.5).abs() < 1e-6);
        assert!((means["smallest_share"] - 0.02).abs() < 1e-6);
        assert_eq!(means["active_clusters"], 1.0);
        let entropy = -(0.98f32 * 0.98f32.ln() + 0.02 * 0.02f32.ln());
        assert!((means["marginal_entropy"] - entropy).abs() < 1e-5);
    }
}
