//! The mixture of section 5 on the values themselves, where nothing that is learned would see more.
//!
//! Rows of a few features often are a Gaussian a cluster already, in any direction and of any size, and a network can only
//! bend that. Whether they are, halves of the frames tell ([`rivals`](super::rivals)).

use std::ops::ControlFlow;
use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use nalgebra::{DMatrix, SymmetricEigen};
use runtime::Calibration;

use super::balance::Balance;
use super::calibrate::{LEAST_TEMPERATURE, calibrate};
use super::count::{self, Space};
use super::event::{Event, Observer, Pass, beside};
use super::metrics::MixtureReport;
use super::mixture::{active_units, drawn};
use super::training_data::TrainingData;
use crate::config::{CheckedConfig, Count, EncoderKind, Weights};
use crate::data::{Preparation, Source};
use crate::error::{Error, Result};
use crate::fitted::NoveltyScore;
use crate::frame::FrameKind;
use crate::gmm::{self, Covariance, CovarianceType, Estimator, Fit, Mixture, Moments, Points, Settings};
use crate::model::{ClusterVae, Init, Likelihood, Whitened};
use crate::rng::{Purpose, stream};
use crate::stage::StageName;

/// Most values of a frame for which the mixture is tried unasked.
const MOST_VALUES: usize = 32;
/// Most frames of a half that a mixture is fitted to, so that a table of any length is judged in a minute.
pub const MOST_OF_HALF: usize = 1000;
/// Most rounds of split-and-merge moves on a half.
const MOVES_OF_HALF: usize = 5;
/// `mixture.tol` and `mixture.max_iter` of the model itself, which no training follows.
const FINE: f64 = 1e-6;
/// See [`FINE`].
const LONG: usize = 300;
/// What is added to the variances of standardised values: a hundredth of them.
const REG_COVAR: f64 = 1e-2;
/// Whether the mixture on the values may be the model.
pub enum OnValues {
    /// It may not; a network is to be trained.
    No,
    /// The observer broke off.
    Stopped,
    /// It may.
    Of {
        /// The settings, of a linear encoder, with the number of clusters.
        config: Box<CheckedConfig>,
        /// Whether it is the model whatever networks say: it was asked for.
        asked: bool,
    },
}

/// Whether the mixture may be the model of `frames`, and with how many clusters.
///
/// # Errors
/// [`Error::Config`] if it is asked for and cannot be; [`Error::Uncounted`] if it is asked for and the number of clusters
/// cannot be found.
pub fn candidate(
    config: &CheckedConfig,
    frames: &(dyn Source + Sync),
    preparation: Preparation<'_>,
    likelihood: Likelihood,
    devices: &[Device],
    observer: &mut Observer<'_>,
) -> Result<OnValues> {
    let p = preparation.shape(frames.shape()).len();
    let fits = likelihood == Likelihood::Gaussian;
    let asked = match config.encoder.kind {
        EncoderKind::Network => return Ok(OnValues::No),
        EncoderKind::Identity if !fits => {
            let problem = "identity needs decoder.likelihood = \"gaussian\" for these frames";
            return Err(Error::config("encoder.kind", problem));
        }
        EncoderKind::Identity => true,
        EncoderKind::Auto if !fits || config.kind() != FrameKind::Features || p > MOST_VALUES => {
            return Ok(OnValues::No);
        }
        EncoderKind::Auto => false,
    };
    let config = config.with_identity(p);
    if config.clusters != Count::Auto {
        return Ok(OnValues::Of { config: Box::new(config), asked });
    }
    let data = TrainingData::new(&config, frames, preparation, devices, &mut |_| ControlFlow::Continue(()))?;
    let values = values(&config, data.training(), config.mixture.max_frames)?;
    let counted = count::run(&config, Space::Values, REG_COVAR, &values, p, observer)?;
    let Some(counted) = counted else { return Ok(OnValues::Stopped) };
    match counted.number(config.mixture.most_clusters) {
        Ok(k) => Ok(OnValues::Of { config: Box::new(config.with_clusters(k)), asked }),
        Err(why) if asked => Err(why),
        // A network may see clusters where the values show none.
        Err(_) => Ok(OnValues::No),
    }
}

/// Fits the mixture to the values of `frames` and calibrates it; None if the observer broke off.
///
/// # Errors
/// [`Error::Config`] if no start keeps its covariances positive definite, [`Error::Collapsed`] if its clusters are below the
/// bounds.
pub fn run(
    config: &CheckedConfig,
    frames: &(dyn Source + Sync),
    preparation: Preparation<'_>,
    devices: &[Device],
    observer: &mut Observer<'_>,
) -> Result<Option<(ClusterVae, (Calibration, NoveltyScore))>> {
    let data = TrainingData::new(config, frames, preparation, devices, &mut |_| ControlFlow::Continue(()))?;
    let training = data.training();
    let (model, report) = beside(observer, Pass::Mixture, |stop| model(config, training, &devices[0], stop))??;
    if observer(Event::Mixture(&report)).is_break() {
        return Ok(None);
    }
    let balance = Balance::of_model(&model, training)?;
    if let Some(why) = balance.fault(&config.collapse, config.clusters()) {
        return Err(Error::Collapsed { attempts: 1, why });
    }
    let calibrated = calibrate(&model, config, &data, LEAST_TEMPERATURE, observer)?;
    Ok(Some((model, calibrated)))
}

/// The mixture of `all` of `points`, indices of them, as the model would have it.
///
/// # Errors
/// [`Error::Config`] if no start keeps its covariances positive definite.
pub fn of_all(
    config: &CheckedConfig,
    weights: Weights,
    points: Points<'_>,
    all: &[usize],
    stop: &AtomicBool,
) -> Result<Mixture> {
    let rows: Vec<f64> = all.iter().flat_map(|&n| points.row(n)).copied().collect();
    Ok(fit_finely(config, weights, Points::new(&rows, points.dim())?.until(stop))?.mixture)
}

/// The mixture of `half` of `points`, indices of them; the random numbers are those of `index`.
///
/// # Errors
/// [`Error::Config`] if no start keeps its covariances positive definite.
pub fn of_half(
    config: &CheckedConfig,
    weights: Weights,
    points: Points<'_>,
    half: &[usize],
    index: u64,
    stop: &AtomicBool,
) -> Result<Mixture> {
    let each = half.len().div_ceil(MOST_OF_HALF).max(1);
    let rows: Vec<f64> = half.iter().step_by(each).flat_map(|&n| points.row(n)).copied().collect();
    // All starts and some moves: a rare cluster is found by few of them.
    let moves = config.mixture.moves.min(MOVES_OF_HALF);
    let points = Points::new(&rows, points.dim())?.until(stop);
    Ok(fit(points, &settings(config, weights), moves, config.seed, (index + 1) << 33)?.mixture)
}

/// The model, and what is reported of its mixture, of `frames`, already scaled. Its p(c) is that of the mixture.
///
/// # Errors
/// [`Error::Config`] if no start keeps its covariances positive definite.
fn model(
    config: &CheckedConfig,
    frames: &dyn Source,
    device: &Device,
    stop: &AtomicBool,
) -> Result<(ClusterVae, MixtureReport)> {
    let (p, k) = (frames.shape().len(), config.clusters());
    let values = values(config, frames, config.mixture.max_frames)?;
    let points = Points::new(&values, p)?.until(stop);
    let fit = fit_finely(config, config.mixture.weights, points)?;
    let whitened = whitened(&fit, points).ok_or_else(singular)?;
    let mut init = Init { rng: stream(config.seed, Purpose::Weights, 0), device };
    let form = ClusterVae::new(config, frames.shape(), Likelihood::Gaussian, &mut init);
    let mut model = whitened.model(form, device);
    model.prior = model.prior.with_weights(&fit.mixture.weights);
    let report = MixtureReport {
        stage: StageName::Mixture,
        components: k,
        log_likelihood: fit.best() / points.len() as f64,
        largest_fall: fit.largest_fall() / points.len() as f64,
        converged: fit.converged,
        iterations: fit.objective.len(),
        gain_of_moves: 0.0,
        clusters: Balance::of_responsibilities(&fit.expectation.responsibilities, k),
        active_units: active_units(points),
    };
    Ok((model, report))
}

/// What is said of covariances that cannot be inverted.
pub fn singular() -> Error {
    Error::config("encoder.kind", "a covariance of the mixture on the values is singular; set it to network")
}

/// At most `most` of the frames, drawn at random, in f64.
fn values(config: &CheckedConfig, frames: &dyn Source, most: usize) -> Result<Vec<f64>> {
    let chosen = drawn(frames.len(), most, config.seed).unwrap_or_else(|| (0..frames.len()).collect());
    Ok(frames.gather(&chosen)?.values.into_iter().map(f64::from).collect())
}

fn settings(config: &CheckedConfig, weights: Weights) -> Settings {
    let c = &config.mixture;
    Settings {
        components: config.clusters(),
        covariance: CovarianceType::Full,
        estimator: Estimator::Proportional { reg_covar: REG_COVAR },
        uniform_weights: weights == Weights::Uniform,
        tol: c.tol,
        max_iter: c.max_iter,
        restarts: c.restarts.max(1),
    }
}

fn fit(points: Points<'_>, settings: &Settings, moves: usize, seed: u64, index: u64) -> Result<Fit> {
    let rng = |restart| stream(seed, Purpose::Mixture, index + restart);
    Ok(gmm::split_and_merge(points, gmm::fit(points, settings, rng)?, settings, moves))
}

fn fit_finely(config: &CheckedConfig, weights: Weights, points: Points<'_>) -> Result<Fit> {
    let settings = Settings { tol: FINE, max_iter: LONG, ..settings(config, weights) };
    fit(points, &settings, config.mixture.moves, config.seed, 0)
}

/// The linear map in which every component is isotropic, and the components there.
fn whitened(fit: &Fit, points: Points<'_>) -> Option<Whitened> {
    let (p, mixture) = (points.dim(), &fit.mixture);
    let mut sum = DMatrix::zeros(p, p);
    for covariance in &mixture.covariances {
        let Covariance::Full(matrix) = covariance else { return None };
        sum += matrix;
    }
    let shape = sum / mixture.components() as f64;
    let eigen = SymmetricEigen::new(shape.clone());
    let (directions, variances) = (eigen.eigenvectors, eigen.eigenvalues.as_slice().to_vec());
    if variances.iter().any(|variance| !(*variance > 0.0 && variance.is_finite())) {
        return None;
    }
    let n = points.len() as f64;
    let mean: Vec<f64> = (0..p).map(|i| points.rows().map(|x| x[i]).sum::<f64>() / n).collect();
    let along = |k: usize, d: usize| {
        let sum: f64 = (0..p).map(|i| directions[(i, d)] * (mixture.mean(k)[i] - mean[i])).sum();
        sum / variances[d].sqrt()
    };
    let means = (0..mixture.components()).flat_map(|k| (0..p).map(move |d| (k, d))).map(|(k, d)| along(k, d)).collect();
    let sizes = mixture.covariances.iter().map(|covariance| covariance.trace(p) / shape.trace()).collect();
    let mut whitened = Whitened { directions, variances, mean, moments: Moments { means, variances: sizes } };
    // E14: the posterior's own variance is part of the prior's.
    let own = whitened.own_variances().iter().sum::<f64>() / p as f64;
    whitened.moments.variances.iter_mut().for_each(|variance| *variance += own);
    Some(whitened)
}
