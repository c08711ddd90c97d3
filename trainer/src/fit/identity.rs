//! The mixture of section 5 on the values themselves, where nothing that is learned would see more.
//!
//! Rows of a few features often are a Gaussian a cluster already, in any direction and of any size, and a network can only
//! bend that. No label says so, but **stability** does (Lange et al. 2004): mixtures fitted to two halves of the frames
//! cut all frames alike. Where they do, that mixture is the model. Where they do not, since there are too few frames for
//! so many features or the clusters are no Gaussians, a network is trained.

use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use nalgebra::{DMatrix, SymmetricEigen};
use rand::seq::SliceRandom;
use runtime::Calibration;
use serde::Serialize;

use super::agreement::agreement;
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
use crate::gmm::{self, Covariance, CovarianceType, Estimator, Fit, Moments, Points, Settings};
use crate::model::{ClusterVae, Init, Likelihood, Whitened};
use crate::ranking::argmax;
use crate::rng::{Purpose, stream};
use crate::stage::StageName;

/// Most values of a frame for which the mixture is tried unasked.
const MOST_VALUES: usize = 32;
/// Least agreement of the halves, NMI, from which the mixture is the model.
///
/// Half the frames are less stable than all: of sets where the mixture is the best that is known, halves of 132 irises
/// agree to 0.88 to 0.91 and of 156 wines to 0.80 to 0.90; where it is not, of 498 breast tumours to 0.52 to 0.65.
const STABLE: f64 = 0.75;
/// Number of times the frames are halved.
const SPLITS: usize = 4;
/// Most frames of a half, so that a table of any length is judged in a minute.
const MOST_OF_HALF: usize = 1000;
/// Most rounds of split-and-merge moves on a half.
const MOVES_OF_HALF: usize = 5;
/// `mixture.tol` and `mixture.max_iter` of the model itself, which no training follows.
const FINE: f64 = 1e-6;
/// See [`FINE`].
const LONG: usize = 300;
/// What is added to the variances of standardised values: a hundredth of them.
const REG_COVAR: f64 = 1e-2;
/// Indices of the random streams: of the halves, and of the starts on each.
const SPLIT: u64 = 1 << 32;

/// How alike mixtures of two halves of the frames cut all of them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Stability {
    /// What the mixtures take for the shares of their components: where both kinds are stable enough, the likelier one on
    /// the other half, else the more stable.
    pub weights: Weights,
    /// Normalised mutual information, mean over splits, in `[0, 1]`.
    pub stability: f64,
    /// From which on the mixture is the model.
    pub least: f64,
    /// Mean log-density of a frame under the mixture of the half that it is not in, nats.
    pub held_out: f64,
}

impl Stability {
    /// Whether the mixture is the model.
    pub fn holds(&self) -> bool {
        self.stability >= self.least
    }
}

/// Whether the mixture on the values is the model.
pub enum OnValues {
    /// It is not; a network is to be trained.
    No,
    /// The observer broke off.
    Stopped,
    /// It is.
    Model {
        /// The settings, of a linear encoder.
        config: Box<CheckedConfig>,
        /// The model, without gradient tracking.
        model: Box<ClusterVae>,
        /// Novelty threshold and temperature, and what the novelty is.
        calibrated: (Calibration, NoveltyScore),
    },
}

/// Fits the mixture to the values of `frames` if the settings ask for it, or leave it open and halves of the frames agree.
///
/// # Errors
/// [`Error::Config`] if it is asked for and cannot be, [`Error::Collapsed`] if its clusters are below the bounds,
/// [`Error::Uncounted`] if it is asked for and the number of clusters cannot be found.
pub fn run(
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
    let mut config = config.with_identity(p);
    let data = TrainingData::new(&config, frames, preparation, devices, observer)?;
    let training = data.training();
    if config.clusters == Count::Auto {
        let values = values(&config, training, config.mixture.max_frames)?;
        let counted = count::run(&config, Space::Values, REG_COVAR, &values, p, observer)?;
        let Some(counted) = counted else { return Ok(OnValues::Stopped) };
        config = match counted.number(config.mixture.most_clusters) {
            Ok(k) => config.with_clusters(k),
            Err(why) if asked => return Err(why),
            // A network may see clusters where the values show none.
            Err(_) => return Ok(OnValues::No),
        };
    }
    if !asked || config.mixture.weights == Weights::Auto {
        if observer(Event::Halves { frames: training.len().min(2 * MOST_OF_HALF) }).is_break() {
            return Ok(OnValues::Stopped);
        }
        let found = beside(observer, Pass::Mixture, |stop| stability(&config, training, stop))??;
        let network = !asked && !found.holds();
        if observer(Event::Values(&found)).is_break() {
            return Ok(OnValues::Stopped);
        }
        if network {
            return Ok(OnValues::No);
        }
        config = config.with_weights(found.weights);
    }
    let config = &config;
    let (model, report) = beside(observer, Pass::Mixture, |stop| model(config, training, &devices[0], stop))??;
    if observer(Event::Mixture(&report)).is_break() {
        return Ok(OnValues::Stopped);
    }
    let balance = Balance::of_model(&model, training)?;
    if let Some(why) = balance.fault(&config.collapse, config.clusters()) {
        return Err(Error::Collapsed { attempts: 1, why });
    }
    let calibrated = calibrate(&model, config, &data, LEAST_TEMPERATURE, observer)?;
    Ok(OnValues::Model { config: Box::new(config.clone()), model: Box::new(model), calibrated })
}

/// The stability of the mixture on `frames`, already scaled, with uniform or learned weights, whichever is more stable
/// where the settings leave it open.
///
/// # Errors
/// [`Error::Config`] if no start keeps its covariances positive definite.
fn stability(config: &CheckedConfig, frames: &dyn Source, stop: &AtomicBool) -> Result<Stability> {
    if config.mixture.weights != Weights::Auto {
        return stability_with(config, frames, config.mixture.weights, stop);
    }
    let [uniform, learned] =
        [Weights::Uniform, Weights::Learned].map(|weights| stability_with(config, frames, weights, stop));
    let (uniform, learned) = (uniform?, learned?);
    // Even shares cut a large cluster in two as stably as uneven ones find the rare: then the likelihood tells.
    let better = if uniform.holds() && learned.holds() {
        learned.held_out > uniform.held_out
    } else {
        learned.stability > uniform.stability
    };
    Ok(if better { learned } else { uniform })
}

fn stability_with(
    config: &CheckedConfig,
    frames: &dyn Source,
    weights: Weights,
    stop: &AtomicBool,
) -> Result<Stability> {
    let p = frames.shape().len();
    let values = values(config, frames, 2 * MOST_OF_HALF)?;
    let points = Points::new(&values, p)?;
    let k = config.clusters();
    // All starts and some moves: a rare cluster is found by few of them.
    let settings = settings(config, weights);
    let moves = config.mixture.moves.min(MOVES_OF_HALF);
    let (mut sum, mut held_out) = (0.0, 0.0);
    for split in 0..SPLITS as u64 {
        let mut order: Vec<usize> = (0..points.len()).collect();
        order.shuffle(&mut stream(config.seed, Purpose::Count, SPLIT + split));
        let (left, right) = order.split_at(order.len() / 2);
        let mut cut = |half: &[usize], other: &[usize], index: u64| -> Result<Vec<usize>> {
            let rows: Vec<f64> = half.iter().flat_map(|&n| points.row(n)).copied().collect();
            let fit =
                fit(Points::new(&rows, p)?.until(stop), &settings, moves, config.seed, (split * 2 + index + 1) << 33)?;
            let seen = gmm::e_step(points, &fit.mixture).ok_or_else(singular)?;
            held_out += other.iter().map(|&n| seen.log_densities[n]).sum::<f64>();
            Ok(seen.responsibilities.chunks_exact(k).map(argmax).collect())
        };
        sum += agreement(&cut(left, right, 0)?, &cut(right, left, 1)?);
    }
    let held_out = held_out / (SPLITS * points.len()) as f64;
    Ok(Stability { weights, stability: sum / SPLITS as f64, least: STABLE, held_out })
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
    let settings = Settings { tol: FINE, max_iter: LONG, ..settings(config, config.mixture.weights) };
    let fit = fit(points, &settings, config.mixture.moves, config.seed, 0)?;
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

fn singular() -> Error {
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
