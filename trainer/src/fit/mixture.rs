//! Stage 2: EM with full covariances on the latent means gives the prior its start.
//!
//! All training frames, of very many those that [`TrainingData`](super::training_data::TrainingData) looks at, are encoded
//! once. EM runs on their means m, or on a random part of them if there are too many:
//! from several starts, of which the likeliest is kept, then with split-and-merge moves. The responsibilities that the
//! mixture gives to all training frames then make the prior: a mean and one variance a cluster, the variances v of the
//! posteriors among them (E14). If the components share the frames more unevenly than the settings allow, the stage
//! asks for another attempt.

use std::sync::atomic::AtomicBool;

use burn::module::Module;
use rand::seq::SliceRandom;

use super::balance::Balance;
use super::count::{self, Space};
use super::event::{Event, Observer, Pass, beside, told};
use super::metrics::MixtureReport;
use crate::config::{CheckedConfig, Count, Weights};
use crate::data::{Source, Watched};
use crate::error::{Error, Result};
use crate::fitted::latents;
use crate::gmm::{self, CovarianceType, Estimator, Fit, Moments, Points, Settings};
use crate::model::ClusterVae;
use crate::ranking::argmax;
use crate::rng::{Purpose, stream};
use crate::stage::StageName;

/// Index of the random stream that picks the frames EM looks at; those of restarts count up from 0.
const SUBSET: u64 = u32::MAX as u64;

/// Variance of a latent mean over the frames above which its dimension counts as in use.
const ACTIVE_VARIANCE: f64 = 0.01;

/// What stage 2 makes of the latents.
pub struct Started {
    /// The model, its prior started by the mixture.
    pub model: ClusterVae,
    /// Cluster of every training frame.
    pub clusters: Vec<u8>,
    /// Why training should begin again from other weights, if it should.
    pub fault: Option<String>,
}

/// Runs stage 2 on training frames that are already scaled; None if the observer broke off.
pub fn run(
    config: &CheckedConfig,
    mut model: ClusterVae,
    frames: &dyn Source,
    observer: &mut Observer<'_>,
) -> Result<Option<Started>> {
    if observer(Event::Stage { name: StageName::Mixture, steps: 1 }).is_break() {
        return Ok(None);
    }
    let device = model.prior.mu_c.val().device();
    let (means, total_variances) = {
        let mut tell = told(observer, Pass::Latents, frames.len());
        latents(&model, &Watched::new(frames, &mut tell), &device)?
    };
    let k = match config.clusters {
        Count::Of(k) => k,
        Count::Auto => {
            let counted =
                count::run(config, Space::Latents, config.mixture.reg_covar, &means, config.latent, observer)?;
            let Some(counted) = counted else { return Ok(None) };
            counted.number(config.mixture.most_clusters)?
        }
    };
    let config = &config.with_clusters(k);
    model = model.keep_clusters(k);
    let (fit, report) = beside(observer, Pass::Mixture, |stop| latent_mixture(config, &means, stop))??;
    let points = Points::new(&means, config.latent)?;
    let Some(expectation) = gmm::e_step(points, &fit.mixture) else {
        return Err(Error::Diverged {
            what: "a covariance of the mixture".into(),
            stage: StageName::Pretrain,
            step: config.pretrain.size(frames.len(), config.clusters()).steps,
            kept: None,
        });
    };
    let moments = Moments::of_clusters(points, &total_variances, &expectation.responsibilities, config.clusters());
    model.prior = model.prior.with_moments(&moments, &device.inner()).train();
    if observer(Event::Mixture(&report)).is_break() {
        return Ok(None);
    }
    let clusters = expectation.responsibilities.chunks_exact(k).map(|row| argmax(row) as u8).collect();
    Ok(Some(Started { model, clusters, fault: fault(config, &report) }))
}

/// Why training should begin again from other weights, if it should.
fn fault(config: &CheckedConfig, report: &MixtureReport) -> Option<String> {
    let (least, balance) = (config.mixture.balance, report.clusters.balance);
    (balance < least).then(|| format!("H(q̄) / log K of EM is {balance:.3}, below mixture.balance = {least}"))
}

/// Dimensions along which the points have a variance above [`ACTIVE_VARIANCE`].
pub fn active_units(points: Points<'_>) -> usize {
    let n = points.len() as f64;
    let moment = |d: usize, power: i32| points.rows().map(|x| x[d].powi(power)).sum::<f64>() / n;
    (0..points.dim()).filter(|&d| moment(d, 2) - moment(d, 1).powi(2) > ACTIVE_VARIANCE).count()
}

/// Fits the mixture to latent means `[N,D]`: the start with the highest likelihood, then split-and-merge
/// moves, which free it where one component holds two modes. Once `stop` is set it ends soon, and gives nothing of use.
pub fn latent_mixture(config: &CheckedConfig, means: &[f64], stop: &AtomicBool) -> Result<(Fit, MixtureReport)> {
    let c = &config.mixture;
    let subset = subset(means, config.latent, c.max_frames, config.seed);
    let points = Points::new(&subset, config.latent)?.until(stop);
    let settings = settings(config);
    let rng = |restart| stream(config.seed, Purpose::Mixture, restart);
    let (fit, before) = if c.restarts == 0 {
        let one = gmm::fit(points, &Settings { components: 1, restarts: 1, ..settings }, rng)?;
        let before = one.best();
        (one.copies(config.clusters()), before)
    } else {
        let start = gmm::fit(points, &settings, rng)?;
        let before = start.best();
        (gmm::split_and_merge(points, start, &settings, c.moves), before)
    };
    let n = points.len() as f64;
    let report = MixtureReport {
        stage: StageName::Mixture,
        components: config.clusters(),
        log_likelihood: fit.best() / n,
        largest_fall: fit.largest_fall() / n,
        converged: fit.converged,
        iterations: fit.objective.len(),
        gain_of_moves: (fit.best() - before) / n,
        clusters: Balance::of_responsibilities(&fit.expectation.responsibilities, config.clusters()),
        active_units: active_units(points),
    };
    Ok((fit, report))
}

/// The settings of EM.
fn settings(config: &CheckedConfig) -> Settings {
    let c = &config.mixture;
    Settings {
        components: config.clusters(),
        covariance: CovarianceType::Full,
        estimator: Estimator::Pooled { reg_covar: c.reg_covar, share: c.pooling },
        uniform_weights: c.weights != Weights::Learned,
        tol: c.tol,
        max_iter: c.max_iter,
        restarts: c.restarts,
    }
}

/// At most `most` of the points `[N,dim]`, drawn at random.
pub fn subset(means: &[f64], dim: usize, most: usize, seed: u64) -> Vec<f64> {
    match drawn(means.len() / dim, most, seed) {
        Some(chosen) => chosen.iter().flat_map(|&i| &means[i * dim..(i + 1) * dim]).copied().collect(),
        None => means.to_vec(),
    }
}

/// Which of `n` points are drawn where there may be `most`; None where all are taken.
pub fn drawn(n: usize, most: usize, seed: u64) -> Option<Vec<usize>> {
    (n > most).then(|| {
        let mut order: Vec<usize> = (0..n).collect();
        order.shuffle(&mut stream(seed, Purpose::Mixture, SUBSET));
        order.truncate(most);
        order
    })
}
