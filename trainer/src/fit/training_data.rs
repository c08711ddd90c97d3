//! What the stages of a training look at: frames, already prepared, and what makes batches of them.

use burn::tensor::Device;
use rand::seq::index;

use super::event::{Event, Observer, Pass, told};
use super::kept;
use super::split::{Split, split};
use crate::config::{AugmentConfig, AugmentKind, CheckedConfig, Count};
use crate::data::batches::{Batch, BatchPlan, Groups, StageBatch, Store};
use crate::data::views::{Augmentation, Nearby, Neighbours, Views, likeness, strength_within_reach};
use crate::data::{Part, Preparation, Source, Standardised, Watched};
use crate::error::{Error, Result};
use crate::rng::{Purpose, stream};

/// Most training frames that EM and the shares of clusters look at: more would move no mean of a cluster that matters.
pub const MOST_LOOKED_AT: usize = 1 << 18;

/// The windows behind features, their channels standardised, in the order of the features.
pub struct Windows<'a> {
    /// Of the frames to train on.
    pub training: Part<'a>,
    /// Of those that calibrate.
    pub held_out: Part<'a>,
    /// What makes features of them.
    standardised: Standardised,
}

/// The frames of a training, prepared as they are read, in two parts: to train on, and to calibrate with.
pub struct TrainingData<'a> {
    /// The frames to train on, which it makes into batches.
    pub store: Store<'a>,
    /// The training frames that are looked at where a look at all would take long: all, or some of them.
    pub looked_at: Part<'a>,
    /// Frames that only calibrate, and whose bounds are reported.
    pub held_out: Part<'a>,
    /// The windows that the frames are features of, if there is a spectrum: maps are of those.
    pub windows: Option<Windows<'a>>,
    /// What is done to frames as they are read.
    pub preparation: Preparation<'a>,
    /// The nearest frames of every training frame, if those stand for views.
    pub neighbours: Option<Neighbours>,
    /// Samples up to which windows of a recording are near each other; 0 where only the frame itself is mapped.
    pub near: usize,
    /// For each training frame those near it, if windows are near each other.
    pub nearby: Option<Nearby>,
    /// Of which group each training frame is, if somebody said so.
    pub groups: Option<Groups>,
    /// The devices that a step computes on, with gradient tracking; at least one.
    pub devices: Vec<Device>,
    /// What the ranges of maps are multiplied by, 0 to 1, so that they stay within reach.
    pub map_strength: f64,
    /// Whether stage 3 reports the bounds of held-out frames.
    pub reports_bounds: bool,
    /// Whether a stage looks at held-out frames to find the epoch whose weights it keeps.
    pub judges: bool,
}

impl<'a> TrainingData<'a> {
    /// Splits the frames as [`split()`] does, and finds neighbours where those stand for views; `observer` hears of that.
    ///
    /// # Errors
    /// As for [`Source::read`]; [`Error::Stopped`] if the observer breaks off.
    pub fn new(
        config: &CheckedConfig,
        frames: &'a (dyn Source + Sync),
        preparation: Preparation<'a>,
        devices: &[Device],
        observer: &mut Observer<'_>,
    ) -> Result<Self> {
        let Split { training, held_out, told: held_out_told } = split(frames, config.seed)?;
        let looked_at = match training.len() > MOST_LOOKED_AT {
            true => {
                let mut rng = stream(config.seed, Purpose::Sample, 0);
                let mut some = index::sample(&mut rng, training.len(), MOST_LOOKED_AT).into_vec();
                some.sort_unstable();
                some.into_iter().map(|n| training[n]).collect()
            }
            false => training.clone(),
        };
        let parts = [training, looked_at, held_out].map(|part| Part::of(frames, part, preparation));
        let [training, looked_at, held_out] = parts;
        let windows = preparation.windows().zip(preparation.of_standardised(frames.shape()));
        let windows = windows.map(|(windows, standardised)| Windows {
            training: training.with(windows),
            held_out: held_out.with(windows),
            standardised,
        });
        let shape = training.shape();
        let neighbours = if config.augment.kind == AugmentKind::Neighbours {
            let n = training.len();
            let among = Neighbours::among(shape, n);
            if observer(Event::Neighbours { frames: n, among }).is_break() {
                return Err(Error::Stopped);
            }
            let mut tell = told(observer, Pass::Neighbours, n + among);
            let watched = Watched::new(&training, &mut tell);
            Some(Neighbours::find(&watched, config.augment.neighbours, config.seed, &devices[0])?)
        } else {
            None
        };
        let devices: Vec<Device> = devices.iter().map(|device| device.clone().autodiff()).collect();
        let maps_images = Augmentation::new(&config.augment, shape, config.kind(), 1.0).maps_images();
        let affine = AugmentConfig { elastic: 0.0, thickness: 0.0, ..config.augment.clone() };
        let map_strength = if maps_images { strength_within_reach(&affine, &training, config.seed)? } else { 1.0 };
        let near = near(config, &training, preparation, observer)?;
        let nearby = (near > 0).then(|| Nearby::new(&training, near)).flatten();
        if let Some(what) = held_out_told
            && observer(Event::HeldOut { what: &what }).is_break()
        {
            return Err(Error::Stopped);
        }
        let groups = Groups::of(&training).filter(|_| config.pretrain.groups + config.refine.groups > 0.0);
        if let Some(groups) = &groups {
            let (n, k) = (training.len(), config.least_clusters());
            let batch = config.pretrain.size(n, k).batch.min(config.refine.size(n, k).batch);
            let told = Event::Groups { count: groups.count(), fit: groups.fit(batch) };
            if observer(told).is_break() {
                return Err(Error::Stopped);
            }
        }
        let store = Store::new(training, &devices[0])?;
        Ok(Self {
            store,
            looked_at,
            held_out,
            windows,
            preparation,
            neighbours,
            near,
            nearby,
            groups,
            devices,
            map_strength,
            reports_bounds: true,
            judges: true,
        })
    }

    /// The frames to train on.
    pub fn training(&self) -> &Part<'a> {
        self.store.frames()
    }

    /// The source of a stage's views: maps with the ranges of `augment` times `strength`, as far as
    /// they stay within reach, or neighbours.
    pub fn views(&self, config: &CheckedConfig, augment: &AugmentConfig, strength: f64) -> Views<'_> {
        let (shape, strength) = (self.training().shape(), strength * self.map_strength);
        let views = Views::new(augment, shape, config.kind(), self.neighbours.as_ref(), strength);
        match (views, &self.windows) {
            (Views::Maps(maps), Some(windows)) => {
                Views::Maps(maps.of_windows(windows.training.shape(), windows.standardised.clone()))
            }
            (views, _) => views,
        }
    }

    /// The windows near each of some frames, if windows are near each other.
    pub fn near_of(&self, frames: &dyn Source) -> Option<Nearby> {
        (self.near > 0).then(|| Nearby::new(frames, self.near)).flatten()
    }

    /// The windows that views are maps of; None where views are of the frames as they are prepared.
    pub fn windows_of(&self, views: &Views<'_>) -> Option<&Windows<'a>> {
        match views {
            Views::Maps(maps) if maps.maps_windows() => self.windows.as_ref(),
            _ => None,
        }
    }

    /// The recipe for the batches of a stage, with views from `views_from`.
    pub fn plan<'b>(&'b self, config: &CheckedConfig, views_from: Views<'b>, batch: StageBatch) -> BatchPlan<'b> {
        BatchPlan {
            frames: self.training(),
            windows: self.windows_of(&views_from).map(|windows| &windows.training as &(dyn Source + Sync)),
            groups: self.groups.as_ref(),
            nearby: self.nearby.as_ref(),
            on_device: self.store.is_resident(),
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
    ///
    /// # Errors
    /// As for [`Source::read`].
    pub fn judged(&self, config: &CheckedConfig, views_from: Views<'_>, batch: StageBatch) -> Result<Option<Batch>> {
        let n = self.held_out.len().min(kept::MOST);
        if n < kept::FEWEST || !self.judges {
            return Ok(None);
        }
        let first: Vec<u32> = (0..n as u32).collect();
        let some: Part<'_> = Part::of(&self.held_out, first.clone(), Preparation::default());
        let store = Store::new(some, &self.devices[0])?;
        let views_from = if let Views::Neighbours(_) = views_from { Views::Frames } else { views_from };
        let windows = self.windows_of(&views_from);
        let windows: Option<Part<'_>> = match windows {
            Some(windows) => Some(Part::of(&windows.held_out, first, Preparation::default())),
            None => None,
        };
        let nearby = self.near_of(store.frames());
        let purposes = (Purpose::Judge, Purpose::Judge);
        let plan = BatchPlan {
            frames: store.frames(),
            windows: windows.as_ref().map(|windows| windows as &(dyn Source + Sync)),
            groups: None,
            nearby: nearby.as_ref(),
            on_device: store.is_resident(),
            views_on_device: store.makes(&views_from),
            views_from,
            batch: StageBatch { frames: n, clusters: None, purposes, ..batch },
            latent: config.latent,
            seed: config.seed,
        };
        Ok(Some(store.batch(plan.draw_all()?)?.inner()))
    }
}

/// Samples up to which windows of a recording are near each other, as the settings say or the frames, which are prepared,
/// tell.
///
/// A latent that is to give back another window than the one it is of can only hold what both have: of spectra that is the
/// state, of samples nothing, since no two begin at the same phase.
fn near(
    config: &CheckedConfig,
    training: &dyn Source,
    preparation: Preparation<'_>,
    observer: &mut Observer<'_>,
) -> Result<usize> {
    // Of sound what is trained on are pictures already.
    let spectra = preparation.windows().is_some() || config.augment.kind == AugmentKind::Sound;
    if !spectra || matches!(config.augment.kind, AugmentKind::None | AugmentKind::Neighbours) {
        return Ok(0);
    }
    match config.augment.near {
        Count::Of(samples) => Ok(samples),
        Count::Auto => {
            let Some((found, recordings)) = likeness(training, config.seed)?.zip(training.recordings()) else {
                return Ok(0);
            };
            let windowing = &recordings.windowing;
            match observer(Event::Near { found, windowing }).is_break() {
                true => Err(Error::Stopped),
                false => Ok(found.within),
            }
        }
    }
}
