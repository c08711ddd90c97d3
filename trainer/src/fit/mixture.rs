//! Stage 2: EM with full covariances on the latent means gives the prior its start.

use burn::module::Module;
use rand::seq::SliceRandom;

use super::metrics::MixtureReport;
use super::stage::latents;
use super::{Event, Observer};
use crate::config::Checked;
use crate::data::Frames;
use crate::error::{Error, Result};
use crate::gmm::{self, CovarianceType, Estimator, Fit, Moments, Points, Settings};
use crate::model::{ClusterVae, Prior};
use crate::rng::{Purpose, stream};

/// The stream that picks the frames EM looks at; restarts count up from 0.
const SUBSET: u64 = u32::MAX as u64;

/// Runs the stage; None if the observer broke off.
pub fn run(
    config: &Checked,
    mut model: ClusterVae,
    frames: &Frames,
    observer: &mut Observer<'_>,
) -> Result<Option<ClusterVae>> {
    if observer(Event::Stage { name: "mixture", steps: 0 }).is_break() {
        return Ok(None);
    }
    let device = model.prior.mu_c.val().device();
    let (means, total_variances) = latents(&model, frames, &device)?;
    let (fit, report) = latent_mixture(config, &means)?;
    let points = Points::new(&means, config.latent)?;
    let Some(expectation) = gmm::e_step(points, &fit.mixture) else {
        return Err(Error::Diverged {
            what: "a covariance of the mixture".into(),
            stage: "pretrain",
            step: config.pretrain.steps,
        });
    };
    let moments = Moments::of_clusters(points, &total_variances, &expectation.responsibilities, config.clusters);
    model.prior = Prior::from_moments(&moments, &device.inner()).train();
    Ok(observer(Event::Mixture(&report)).is_continue().then_some(model))
}

/// Fits the mixture to latent means `[N,D]`: the start with the highest likelihood, then split-and-merge
/// moves, which free it where one component holds two modes.
pub fn latent_mixture(config: &Checked, means: &[f64]) -> Result<(Fit, MixtureReport)> {
    let c = &config.mixture;
    let subset = subset(means, config.latent, c.max_frames, config.seed);
    let points = Points::new(&subset, config.latent)?;
    let settings = Settings {
        components: config.clusters,
        covariance: CovarianceType::Full,
        estimator: Estimator::Mle { reg_covar: c.reg_covar },
        uniform_weights: true,
        tol: c.tol,
        max_iter: c.max_iter,
        restarts: c.restarts,
    };
    let start = gmm::fit(points, &settings, |restart| stream(config.seed, Purpose::Mixture, restart))?;
    let before = start.best();
    let fit = gmm::split_and_merge(points, start, &settings, c.moves);
    let n = points.len() as f64;
    let shares = &fit.expectation.shares(config.clusters);
    let entropy: f64 = shares.iter().filter(|s| **s > 0.0).map(|s| -s * s.ln()).sum();
    let report = MixtureReport {
        stage: "mixture",
        log_likelihood: fit.best() / n,
        converged: fit.converged,
        iterations: fit.objective.len(),
        gain_of_moves: (fit.best() - before) / n,
        balance: entropy / (config.clusters as f64).ln(),
        smallest_share: shares.iter().copied().fold(f64::INFINITY, f64::min),
    };
    Ok((fit, report))
}

fn subset(means: &[f64], dim: usize, most: usize, seed: u64) -> Vec<f64> {
    let n = means.len() / dim;
    if n <= most {
        return means.to_vec();
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.shuffle(&mut stream(seed, Purpose::Mixture, SUBSET));
    order[..most].iter().flat_map(|&i| &means[i * dim..(i + 1) * dim]).copied().collect()
}
