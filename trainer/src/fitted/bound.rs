//! The bounds of the paper on a data set, every term, with the exact sum over c.

use std::ops::AddAssign;

use burn::tensor::{Device, Tensor, TensorData};
use rand::RngExt;
use rand_distr::StandardNormal;
use serde::Serialize;

use super::encode::{encode, to_host};
use crate::config::{CheckedConfig, ClusterPosterior};
use crate::data::Source;
use crate::elbo::sampled::{AtSample, log_posterior};
use crate::elbo::{Terms, alignment, optimum};
use crate::error::Result;
use crate::model::{ClusterVae, Posterior};
use crate::rng::{Purpose, stream};

/// The bounds and their terms: means over the frames of a data set, nats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct BoundReport {
    /// The bound on log p(x), eq. (6.1): reconstruction + alignment - KL(q(c|x) ‖ p(c)) + latent entropy.
    pub elbo: f64,
    /// Term 1 of eq. (6.1), E log p(x|z,c), estimated with `samples` samples of z a frame.
    pub reconstruction: f64,
    /// Term 2 of eq. (6.1), E log p(z|c).
    pub alignment: f64,
    /// Term 3 of eq. (6.1) without its minus sign, KL(q(c|x) ‖ p(c)).
    pub cluster_kl: f64,
    /// Term 4 of eq. (6.1), the entropy of q(z|x).
    pub latent_entropy: f64,
    /// H(q̄), the entropy of the mean cluster distribution.
    pub marginal_entropy: f64,
    /// I(x;c) = H(q̄) - mean H(q(c|x)), the first part of term 3 (E12).
    pub mutual_information: f64,
    /// KL(q̄ ‖ p(c)) of the mean cluster distribution q̄, the second part of term 3 (E12).
    pub imbalance: f64,
    /// Eq. (1.10) with c summed out: p(z) is the mixture, p(x|z) = Σ_c p(c|z) p(x|z,c).
    pub marginal_bound: f64,
    /// The bound of §2, with q(c|z) the responsibilities of the mixture for z (E10).
    pub nested_bound: f64,
    /// The Jensen gap of §3: E_q(z|x) KL(q(c|z) ‖ p(c)) - KL(q(c|x) ‖ p(c)) with q(c|x) the mean of q(c|z); never
    /// negative (E11).
    pub jensen_gap: f64,
    /// What the nested bound gains by q(c|z) over its mean q(c|x), L - L̂ of §4; of either sign.
    pub nested_gain: f64,
    /// Estimate of log p(x) by importance weighting; grows with `samples`.
    pub importance_weighted: f64,
    /// Samples of z a frame.
    pub samples: usize,
}

/// Evaluates the bounds on frames that are already scaled; the samples of z come from the run's seed.
///
/// Of `mean-field` q(c|x) ∝ exp(E_q(z|x) log p(x|z,c) + E_q(z|x) log p(z|c)), and the first expectation is a mean over as
/// many samples again. So it is near the best q(c|x) and not the best, and on average the bound is at most eq. (6.1) at
/// the best; more samples close the gap.
pub fn bound(
    model: &ClusterVae,
    config: &CheckedConfig,
    frames: &dyn Source,
    samples: usize,
    device: &Device,
) -> Result<BoundReport> {
    let mut sums = BoundSums::default();
    let mut shares = vec![0.0f64; config.clusters()];
    let mut part = 0;
    encode(model, frames, device, |_, x, posterior| {
        let mut rng = stream(config.seed, Purpose::Evaluation, part);
        part += 1;
        let [b, d] = posterior.mu_z.dims();
        let mut noise = || {
            let values: Vec<f32> = (0..b * d).map(|_| rng.sample(StandardNormal)).collect();
            Tensor::from_data(TensorData::new(values, [b, d]), device)
        };
        let (of_part, shares_of_part) =
            sums_of_part(model, config.cluster_posterior, x, &posterior, samples, &mut noise)?;
        sums += of_part;
        shares.iter_mut().zip(shares_of_part).for_each(|(sum, value)| *sum += f64::from(value));
        Ok(())
    })?;
    let n = frames.len() as f64;
    let marginal_entropy = shares.iter().map(|s| s / n).filter(|p| *p > 0.0).map(|p| -p * p.ln()).sum();
    // Σ_c q̄(c) log p(c), of even shares -log K.
    let cross = match model.prior.log_weights() {
        Some(log_weights) => {
            let log_weights = to_host(log_weights)?;
            shares.iter().zip(log_weights).map(|(s, w)| s / n * f64::from(w)).sum::<f64>()
        }
        None => 0.0,
    } - (config.clusters() as f64).ln();
    let cluster_kl = sums.cluster_kl / n;
    Ok(BoundReport {
        elbo: sums.elbo / n,
        reconstruction: sums.reconstruction / n,
        alignment: sums.alignment / n,
        cluster_kl,
        latent_entropy: sums.latent_entropy / n,
        marginal_entropy,
        mutual_information: marginal_entropy - (-cross - cluster_kl),
        imbalance: -cross - marginal_entropy,
        marginal_bound: sums.marginal_bound / n,
        nested_bound: sums.nested_bound / n,
        jensen_gap: sums.jensen_gap / n,
        nested_gain: sums.nested_gain / n,
        importance_weighted: sums.importance_weighted / n,
        samples,
    })
}

/// Sums over frames of what [`BoundReport`] gives the means of, by the same names, nats.
#[derive(Clone, Copy, Debug, Default)]
struct BoundSums {
    elbo: f64,
    reconstruction: f64,
    alignment: f64,
    cluster_kl: f64,
    latent_entropy: f64,
    marginal_bound: f64,
    nested_bound: f64,
    jensen_gap: f64,
    nested_gain: f64,
    importance_weighted: f64,
}

impl AddAssign for BoundSums {
    fn add_assign(&mut self, part: Self) {
        self.elbo += part.elbo;
        self.reconstruction += part.reconstruction;
        self.alignment += part.alignment;
        self.cluster_kl += part.cluster_kl;
        self.latent_entropy += part.latent_entropy;
        self.marginal_bound += part.marginal_bound;
        self.nested_bound += part.nested_bound;
        self.jensen_gap += part.jensen_gap;
        self.nested_gain += part.nested_gain;
        self.importance_weighted += part.importance_weighted;
    }
}

/// The sums over one part of the frames, and Σ q(c|x) over it `[K]`.
fn sums_of_part(
    model: &ClusterVae,
    cluster_posterior: ClusterPosterior,
    x: Tensor<2>,
    posterior: &Posterior,
    samples: usize,
    noise: &mut dyn FnMut() -> Tensor<2>,
) -> Result<(BoundSums, Vec<f32>)> {
    let scale = 1.0 / samples as f64;
    let alignment = model.alignment(posterior);
    let log_q = match cluster_posterior {
        ClusterPosterior::MeanField => {
            // Samples of its own: were q(c|x) the best for the samples that the terms are estimated from, it would be
            // fitted to their chance, and the estimate above the bound on average.
            let mut expected = alignment.clone();
            for _ in 0..samples {
                expected = expected + model.decoder.log_likelihood_all(x.clone(), posterior.sample(noise())) * scale;
            }
            optimum::log_responsibilities(expected)
        }
        ClusterPosterior::Gmm | ClusterPosterior::Amortised => model.log_responsibilities(posterior),
    };
    let mut at_samples = Vec::with_capacity(samples);
    for _ in 0..samples {
        let noise = noise();
        let z = posterior.sample(noise.clone());
        at_samples.push(AtSample {
            log_posterior: log_posterior(noise, posterior.log_var_z.clone()),
            log_prior: model.weighted(alignment::at_sample(
                z.clone(),
                model.prior.mu_c.val(),
                model.prior.log_var_c.val(),
            )),
            log_likelihood: model.decoder.log_likelihood_all(x.clone(), z),
        });
    }
    let mean = |f: &dyn Fn(&AtSample) -> Tensor<2>| -> Tensor<2> {
        let [b, k] = at_samples[0].log_prior.dims();
        let zeros = Tensor::zeros([b, k], &x.device());
        at_samples.iter().fold(zeros, |sum, at| sum + f(at) * scale)
    };
    let total = |f: &dyn Fn(&AtSample) -> Tensor<1>| -> Result<f64> {
        at_samples.iter().map(|at| sum(f(at))).sum::<Result<f64>>().map(|sum| sum * scale)
    };

    let expected_likelihood = mean(&|at| at.log_likelihood.clone());
    let shares = to_host(log_q.clone().exp().sum_dim(0))?;
    let mut terms = Terms::new(log_q.clone(), expected_likelihood, alignment, posterior.log_var_z.clone());
    if let Some(log_weights) = model.prior.log_weights() {
        terms = terms.with_weights(log_q, log_weights);
    }

    // The floor is far below what f32 resolves in a sum of probabilities.
    let marginal_q = mean(&|at| at.log_cluster_posterior().exp()).clamp_min(1e-30).log();
    let nested = total(&|at| at.bound(at.log_cluster_posterior()))?;
    let modified = total(&|at| at.bound(marginal_q.clone()))?;
    let kl = |log_q: Tensor<2>| crate::elbo::cluster_kl::to_uniform(log_q);
    let jensen_gap = total(&|at| kl(at.log_cluster_posterior()))? - sum(kl(marginal_q.clone()))?;
    let weights = Tensor::stack::<2>(at_samples.iter().map(AtSample::log_weight).collect(), 1);
    let b = weights.dims()[0] as f64;
    let weighted = sum(crate::elbo::log_sum_exp(weights))? - b * (samples as f64).ln();
    let sums = BoundSums {
        elbo: sum(terms.total())?,
        reconstruction: sum(terms.reconstruction)?,
        alignment: sum(terms.alignment)?,
        cluster_kl: sum(terms.cluster_kl)?,
        latent_entropy: sum(terms.latent_entropy)?,
        marginal_bound: total(&AtSample::log_weight)?,
        nested_bound: nested,
        jensen_gap,
        nested_gain: nested - modified,
        importance_weighted: weighted,
    };
    Ok((sums, shares))
}

/// Sum over the frames, in f64.
fn sum(values: Tensor<1>) -> Result<f64> {
    Ok(to_host(values)?.into_iter().map(f64::from).sum())
}
