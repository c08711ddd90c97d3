//! What a run writes down: averages over an epoch, and the result of EM.

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use serde::Serialize;

use super::balance::Balance;
use crate::error::{Error, Result};
use crate::fitted::{BoundReport, to_host};
use crate::stage::StageName;

/// Averages over an epoch.
#[derive(Clone, Debug, Serialize)]
pub struct Epoch {
    /// The stage, `pretrain` or `refine`.
    pub stage: StageName,
    /// Number of the epoch in the stage, from 1.
    pub epoch: usize,
    /// Number of epochs of the stage.
    pub epochs: usize,
    /// Number of steps done in the stage.
    pub step: usize,
    /// Means over the epoch by name, nats unless the name says otherwise.
    #[serde(flatten)]
    pub values: BTreeMap<&'static str, f32>,
    /// How the clusters share the frames, where the stage has clusters.
    #[serde(flatten)]
    pub clusters: Option<Balance>,
    /// The bounds of the paper on frames that training does not see, where the stage has clusters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_out: Option<BoundReport>,
    /// What the stage maximises, mean over frames that training does not see, nats; views and noise are the same for every
    /// epoch of a stage. By it the epoch is found whose weights are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_out_objective: Option<f64>,
}

/// How EM went.
#[derive(Clone, Debug, Serialize)]
pub struct MixtureReport {
    /// The stage, always `mixture`.
    pub stage: StageName,
    /// Number of components K.
    pub components: usize,
    /// Mean log-likelihood of a latent mean, nats. With pooled covariances, as in stage 2, it is what starts are compared
    /// by, and not what EM climbs.
    pub log_likelihood: f64,
    /// Its largest fall from an iteration to the next, nats a latent mean; 0 where it never fell.
    pub largest_fall: f64,
    /// Whether the mixture that was kept had converged.
    pub converged: bool,
    /// Number of iterations of the mixture that was kept.
    pub iterations: usize,
    /// What split-and-merge moves added to the mean log-likelihood, nats.
    pub gain_of_moves: f64,
    /// How the components share the latents.
    #[serde(flatten)]
    pub clusters: Balance,
    /// Number of latent dimensions whose mean varies by more than 0.01 over the frames (Burda et al. 2016).
    pub active_units: usize,
}

/// The objective of one step, and what is worth reporting of it.
pub struct StepOutcome {
    /// The loss, to be minimised `[1]`.
    pub loss: Tensor<1>,
    /// Named values `[1]`, averaged over the epoch; the first that is not finite is blamed.
    pub values: Vec<(&'static str, Tensor<1>)>,
    /// Mean cluster distribution of the batch `[K]`.
    pub shares: Option<Tensor<1>>,
}

/// Sums over the steps of an epoch so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Totals {
    /// Sum of every reported value, in the order of [`StepOutcome::values`], then of every cluster's share `[V + K]`.
    pub sums: Vec<f64>,
    /// Number of steps summed over.
    pub steps: usize,
}

/// Sums up the outcomes of steps; the numbers stay on the device until someone asks.
pub struct Sums {
    stage: StageName,
    names: Vec<&'static str>,
    /// Steps not yet looked at, each with values and shares `[V + K]`.
    pending: Vec<(usize, Tensor<1>)>,
    totals: Totals,
}

impl Sums {
    /// Sums of an epoch of `stage` that go on from `totals`.
    pub fn new(stage: StageName, totals: Totals) -> Self {
        Self { stage, names: Vec::new(), pending: Vec::new(), totals }
    }

    /// Adds the outcome of `step`, counted from 0.
    pub fn add(&mut self, step: usize, outcome: &StepOutcome) {
        self.names = outcome.values.iter().map(|(name, _)| *name).collect();
        let values = outcome.values.iter().map(|(_, v)| v.clone().inner());
        let shares = outcome.shares.iter().map(|s| s.clone().inner());
        self.pending.push((step, Tensor::cat(values.chain(shares).collect(), 0)));
    }

    /// The sums so far; brings to the host what is still on the device.
    ///
    /// # Errors
    /// [`Error::Diverged`] with the first value, and its step, that is not finite.
    pub fn totals(&mut self) -> Result<&Totals> {
        if self.pending.is_empty() {
            return Ok(&self.totals);
        }
        let (steps, rows): (Vec<usize>, Vec<Tensor<1>>) = self.pending.drain(..).unzip();
        // One read for all of them.
        let values = to_host(Tensor::stack::<2>(rows, 0))?;
        for (&step, row) in steps.iter().zip(values.chunks_exact(values.len() / steps.len())) {
            if let Some(at) = row.iter().position(|v| !v.is_finite()) {
                let what = self.names.get(at).copied().unwrap_or("responsibilities").to_owned();
                return Err(Error::Diverged { what, stage: self.stage, step: step + 1, kept: None });
            }
            self.totals.sums.resize(row.len(), 0.0);
            self.totals.sums.iter_mut().zip(row).for_each(|(sum, v)| *sum += f64::from(*v));
            self.totals.steps += 1;
        }
        Ok(&self.totals)
    }

    /// The means over the epoch by name, and how the clusters share the frames; the next epoch begins at 0.
    pub fn take_means(&mut self) -> Result<(BTreeMap<&'static str, f32>, Option<Balance>)> {
        self.totals()?;
        let Totals { sums, steps } = std::mem::take(&mut self.totals);
        let means: Vec<f64> = sums.iter().map(|s| s / steps.max(1) as f64).collect();
        let values: BTreeMap<_, _> = self.names.iter().copied().zip(means.iter().map(|m| *m as f32)).collect();
        let shares = &means[self.names.len().min(means.len())..];
        let entropy = values.get("cluster_entropy").copied().unwrap_or_default();
        let clusters = (!shares.is_empty()).then(|| Balance::new(shares, f64::from(entropy)));
        Ok((values, clusters))
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn outcome(loss: f32, share: f32) -> StepOutcome {
        let device = Device::flex().autodiff();
        let loss = Tensor::<1>::from_floats([loss], &device);
        let shares = Tensor::<1>::from_floats([share, 1.0 - share], &device);
        let entropy = Tensor::<1>::from_floats([0.01], &device);
        StepOutcome { values: vec![("cluster_entropy", entropy), ("loss", loss.clone())], loss, shares: Some(shares) }
    }

    #[test]
    fn a_value_that_is_not_finite_is_named_with_its_stage_and_step() {
        for bad in [f32::NAN, f32::INFINITY] {
            let mut sums = Sums::new(StageName::Refine, Totals::default());
            sums.add(0, &outcome(1.0, 0.5));
            assert!(sums.totals().is_ok());
            sums.add(1, &outcome(1.0, 0.5));
            sums.add(2, &outcome(bad, 0.5));
            sums.add(3, &outcome(1.0, 0.5));
            let error = sums.totals().unwrap_err();
            assert_eq!(error.exit_code(), 4);
            let start = "training diverged: loss is not finite at refine step 3";
            assert!(error.to_string().starts_with(start), "{error}");
        }
    }

    #[test]
    fn means_and_balance_of_an_epoch() {
        let mut sums = Sums::new(StageName::Refine, Totals::default());
        sums.add(0, &outcome(1.0, 0.99));
        let half = sums.totals().unwrap().clone();
        // Going on from what was saved gives the same epoch.
        let mut sums = Sums::new(StageName::Refine, half);
        sums.add(1, &outcome(2.0, 0.97));
        let (means, clusters) = sums.take_means().unwrap();
        let clusters = clusters.unwrap();
        assert!((means["loss"] - 1.5).abs() < 1e-6);
        assert!((clusters.smallest_share - 0.02).abs() < 1e-6);
        assert_eq!(clusters.active_clusters, 2);
        let entropy = -(0.98f64 * 0.98f64.ln() + 0.02 * 0.02f64.ln());
        assert!((clusters.mutual_information - (entropy - 0.01)).abs() < 1e-6);
        assert_eq!(sums.take_means().unwrap().1, None);
    }
}
