//! What the stages of a training look at: frames, already scaled, and what makes batches of them.

use burn::tensor::Device;
use rand::seq::SliceRandom;

use super::kept;
use crate::config::{AugmentConfig, AugmentKind, CheckedConfig, LikelihoodChoice};
use crate::data::Frames;
use crate::data::batches::{Batch, BatchPlan, StageBatch, Store};
use crate::data::scaling::Scaling;
use crate::data::views::{Augmentation, Neighbours, Views, strength_within_reach};
use crate::error::{Error, Result};
use crate::frame::FrameKind;
use crate::model::Likelihood;
use crate::rng::{Purpose, stream};

/// One in this many frames is kept from training, to calibrate novelty.
const CALIBRATION_SHARE: usize = 20;
/// Number of frames that calibrate a false-alarm rate of a hundredth.
const ENOUGH: usize = 100;
/// One in this many of few frames is kept, as long as they are not enough.
const FEW_SHARE: usize = 8;
/// Largest number of frames that are kept from training.
pub const MAX_CALIBRATION: usize = 3000;

/// The frames of a training, already scaled, in two parts: to train on, and to calibrate with.
pub struct TrainingData {
    /// The frames to train on, which it makes into batches.
    pub store: Store,
    /// Frames that only calibrate, and whose bounds are reported.
    pub held_out: Frames,
    /// The nearest frames of every training frame, if those stand for views.
    pub neighbours: Option<Neighbours>,
    /// The devices that a step computes on, with gradient tracking; at least one.
    pub devices: Vec<Device>,
    /// What the ranges of maps are multiplied by, 0 to 1, so that they stay within reach.
    pub map_strength: f64,
    /// Whether stage 3 reports the bounds of held-out frames.
    pub reports_bounds: bool,
    /// Whether a stage looks at held-out frames to find the epoch whose weights it keeps.
    pub judges: bool,
}

impl TrainingData {
    /// Splits the frames at random, scales both parts, and finds neighbours where those stand for views.
    pub fn new(config: &CheckedConfig, frames: &Frames, scaling: Option<&Scaling>, devices: &[Device]) -> Result<Self> {
        let mut order: Vec<usize> = (0..frames.len()).collect();
        order.shuffle(&mut stream(config.seed, Purpose::Calibration, 0));
        let count = kept_from_training(frames.len());
        let (mut training, mut held_out) = (frames.select(&order[count..]), frames.select(&order[..count]));
        if let Some(scaling) = scaling {
            scaling.apply(&mut training.values);
            scaling.apply(&mut held_out.values);
        }
        let wanted = config.augment.kind == AugmentKind::Neighbours;
        let neighbours =
            wanted.then(|| Neighbours::find(&training, config.augment.neighbours, &devices[0])).transpose()?;
        let devices: Vec<Device> = devices.iter().map(|device| device.clone().autodiff()).collect();
        let maps_images = Augmentation::new(&config.augment, frames.shape, config.kind(), 1.0).maps_images();
        let affine = AugmentConfig { elastic: 0.0, thickness: 0.0, ..config.augment.clone() };
        let map_strength = if maps_images { strength_within_reach(&affine, &training, config.seed) } else { 1.0 };
        let store = Store::new(training, &devices[0]);
        Ok(Self { store, held_out, neighbours, devices, map_strength, reports_bounds: true, judges: true })
    }

    /// The frames to train on.
    pub fn training(&self) -> &Frames {
        self.store.frames()
    }

    /// The source of a stage's views: maps with the ranges of `augment` times `strength`, as far as
    /// they stay within reach, or neighbours.
    pub fn views(&self, config: &CheckedConfig, augment: &AugmentConfig, strength: f64) -> Views<'_> {
        let shape = self.training().shape;
        Views::new(augment, shape, config.kind(), self.neighbours.as_ref(), strength * self.map_strength)
    }

    /// The recipe for the batches of a stage, with views from `views_from`.
    pub fn plan<'a>(&'a self, config: &CheckedConfig, views_from: Views<'a>, batch: StageBatch) -> BatchPlan<'a> {
        BatchPlan {
            frames: self.training(),
            views_on_device: self.store.makes(&views_from),
            views_from,
            batch,
            latent: config.latent,
            seed: config.seed,
        }
    }

    /// The held-out frames that the epochs of a stage are judged by, as one batch without gradient tracking, with the views
    /// and the noise that `batch` of the stage has; None if they are too few, or are not to be looked at.
    ///
    /// Held-out frames have no neighbours: there a frame is its own view.
    pub fn judged(&self, config: &CheckedConfig, views_from: Views<'_>, batch: StageBatch) -> Option<Batch> {
        let n = self.held_out.len().min(kept::MOST);
        if n < kept::FEWEST || !self.judges {
            return None;
        }
        let store = Store::new(self.held_out.select(&(0..n).collect::<Vec<_>>()), &self.devices[0]);
        let views_from = if let Views::Neighbours(_) = views_from { Views::Frames } else { views_from };
        let purposes = (Purpose::Judge, Purpose::Judge);
        let plan = BatchPlan {
            frames: store.frames(),
            views_on_device: store.makes(&views_from),
            views_from,
            batch: StageBatch { frames: n, clusters: None, purposes, ..batch },
            latent: config.latent,
            seed: config.seed,
        };
        Some(store.batch(plan.draw_all()).inner())
    }
}

/// How the values are scaled and what distribution the decoder gives them, as the settings say.
///
/// By default pictures whose values all lie in `[0, 1]` are Bernoulli means and stay as they are. All else is
/// standardised and Gaussian: rows and windows have units, and those must not decide. Bernoulli, where it is asked for,
/// takes any frames with values in `[0, 1]`.
///
/// # Errors
/// [`Error::Config`] if Bernoulli is asked for and a value lies outside of `[0, 1]`.
pub fn scaling_and_likelihood(config: &CheckedConfig, frames: &Frames) -> Result<(Option<Scaling>, Likelihood)> {
    let probabilities = frames.values.iter().all(|v| (0.0..=1.0).contains(v));
    let grey_levels = probabilities && config.kind() == FrameKind::Image;
    match config.decoder.likelihood {
        LikelihoodChoice::Bernoulli if probabilities => Ok((None, Likelihood::Bernoulli)),
        LikelihoodChoice::Bernoulli => Err(Error::config(
            "decoder.likelihood",
            "bernoulli needs every value in [0, 1]; use gaussian or auto for these frames",
        )),
        LikelihoodChoice::Auto if grey_levels => Ok((None, Likelihood::Bernoulli)),
        LikelihoodChoice::Gaussian if grey_levels => Ok((None, Likelihood::Gaussian)),
        LikelihoodChoice::Auto | LikelihoodChoice::Gaussian => {
            Ok((Some(Scaling::fit(frames, config.kind())), Likelihood::Gaussian))
        }
    }
}

/// Frames of `count` that are kept from training: one in twenty, at most 3000; of few frames one in eight, up to the 100
/// that a false-alarm rate of a hundredth needs.
pub fn kept_from_training(count: usize) -> usize {
    (count / CALIBRATION_SHARE).max(ENOUGH.min(count / FEW_SHARE)).clamp(1, MAX_CALIBRATION)
}
