//! What the stages of a training look at: frames, already prepared, and what makes batches of them.

use burn::tensor::Device;
use rand::seq::SliceRandom;

use super::kept;
use crate::config::{AugmentConfig, AugmentKind, CheckedConfig};
use crate::data::batches::{Batch, BatchPlan, StageBatch, Store};
use crate::data::views::{Augmentation, Neighbours, Views, strength_within_reach};
use crate::data::{Frames, Preparation, Standardised};
use crate::error::Result;
use crate::rng::{Purpose, stream};

/// One in this many frames is kept from training, to calibrate novelty.
const CALIBRATION_SHARE: usize = 20;
/// Number of frames that calibrate a false-alarm rate of a hundredth.
const ENOUGH: usize = 100;
/// One in this many of few frames is kept, as long as they are not enough.
const FEW_SHARE: usize = 8;
/// Largest number of frames that are kept from training.
pub const MAX_CALIBRATION: usize = 3000;

/// The windows behind features, their channels standardised, in the order of the features.
pub struct Windows {
    training: Frames,
    held_out: Frames,
    /// What makes features of them.
    standardised: Standardised,
}

/// Gives some of the frames, prepared, with the windows behind them.
type Select<'a> = dyn Fn(&[usize]) -> (Frames, Option<Frames>) + 'a;

/// The frames of a training, already prepared, in two parts: to train on, and to calibrate with.
pub struct TrainingData {
    /// The frames to train on, which it makes into batches.
    pub store: Store,
    /// Frames that only calibrate, and whose bounds are reported.
    pub held_out: Frames,
    /// The windows that the frames are features of, if there is a front end: maps are of those.
    pub windows: Option<Windows>,
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
    /// Splits the frames at random, prepares both parts, and finds neighbours where those stand for views.
    pub fn new(
        config: &CheckedConfig,
        frames: &Frames,
        preparation: Preparation<'_>,
        devices: &[Device],
    ) -> Result<Self> {
        let select = |indices: &[usize]| {
            let part = frames.select(indices);
            (preparation.apply(&part), preparation.standardised(&part))
        };
        Self::split(config, frames.len(), &select, preparation.of_standardised(frames.shape), devices)
    }

    /// Some of the training frames, split again.
    pub fn part(&self, config: &CheckedConfig, indices: &[usize], devices: &[Device]) -> Result<Self> {
        let select = |part: &[usize]| {
            let part: Vec<usize> = part.iter().map(|&n| indices[n]).collect();
            (self.training().select(&part), self.windows.as_ref().map(|windows| windows.training.select(&part)))
        };
        let standardised = self.windows.as_ref().map(|windows| windows.standardised.clone());
        Self::split(config, indices.len(), &select, standardised, devices)
    }

    /// Splits `count` frames, of which `select` gives some with the windows behind them.
    fn split(
        config: &CheckedConfig,
        count: usize,
        select: &Select<'_>,
        standardised: Option<Standardised>,
        devices: &[Device],
    ) -> Result<Self> {
        let mut order: Vec<usize> = (0..count).collect();
        order.shuffle(&mut stream(config.seed, Purpose::Calibration, 0));
        let (held_out, training) = order.split_at(kept_from_training(count));
        let [(training, windows), (held_out, held_out_windows)] = [training, held_out].map(select);
        let windows = windows.zip(held_out_windows).zip(standardised);
        let windows = windows.map(|((training, held_out), standardised)| Windows { training, held_out, standardised });
        let wanted = config.augment.kind == AugmentKind::Neighbours;
        let neighbours =
            wanted.then(|| Neighbours::find(&training, config.augment.neighbours, &devices[0])).transpose()?;
        let devices: Vec<Device> = devices.iter().map(|device| device.clone().autodiff()).collect();
        let maps_images = Augmentation::new(&config.augment, training.shape, config.kind(), 1.0).maps_images();
        let affine = AugmentConfig { elastic: 0.0, thickness: 0.0, ..config.augment.clone() };
        let map_strength = if maps_images { strength_within_reach(&affine, &training, config.seed) } else { 1.0 };
        let store = Store::new(training, &devices[0]);
        Ok(Self { store, held_out, windows, neighbours, devices, map_strength, reports_bounds: true, judges: true })
    }

    /// The frames to train on.
    pub fn training(&self) -> &Frames {
        self.store.frames()
    }

    /// The source of a stage's views: maps with the ranges of `augment` times `strength`, as far as
    /// they stay within reach, or neighbours.
    pub fn views(&self, config: &CheckedConfig, augment: &AugmentConfig, strength: f64) -> Views<'_> {
        let (shape, strength) = (self.training().shape, strength * self.map_strength);
        let views = Views::new(augment, shape, config.kind(), self.neighbours.as_ref(), strength);
        match (views, &self.windows) {
            (Views::Maps(maps), Some(windows)) => {
                Views::Maps(maps.of_windows(windows.training.shape, windows.standardised.clone()))
            }
            (views, _) => views,
        }
    }

    /// What views are drawn of, training frames and held-out ones: windows where maps are of those, else the frames.
    pub fn sources(&self, views: &Views<'_>) -> [&Frames; 2] {
        match (views, &self.windows) {
            (Views::Maps(maps), Some(windows)) if maps.maps_windows() => [&windows.training, &windows.held_out],
            _ => [self.training(), &self.held_out],
        }
    }

    /// The recipe for the batches of a stage, with views from `views_from`.
    pub fn plan<'a>(&'a self, config: &CheckedConfig, views_from: Views<'a>, batch: StageBatch) -> BatchPlan<'a> {
        BatchPlan {
            frames: self.sources(&views_from)[0],
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
        let first: Vec<usize> = (0..n).collect();
        let store = Store::new(self.held_out.select(&first), &self.devices[0]);
        let views_from = if let Views::Neighbours(_) = views_from { Views::Frames } else { views_from };
        let source = self.sources(&views_from)[1].select(&first);
        let purposes = (Purpose::Judge, Purpose::Judge);
        let plan = BatchPlan {
            frames: &source,
            views_on_device: store.makes(&views_from),
            views_from,
            batch: StageBatch { frames: n, clusters: None, purposes, ..batch },
            latent: config.latent,
            seed: config.seed,
        };
        Some(store.batch(plan.draw_all()).inner())
    }
}

/// Frames of `count` that are kept from training: one in twenty, at most 3000; of few frames one in eight, up to the 100
/// that a false-alarm rate of a hundredth needs.
pub fn kept_from_training(count: usize) -> usize {
    (count / CALIBRATION_SHARE).max(ENOUGH.min(count / FEW_SHARE)).clamp(1, MAX_CALIBRATION)
}
