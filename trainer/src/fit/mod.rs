//! Training: stage 1 `pretrain` (a VAE without clusters), stage 2 `mixture` (EM on its latents starts
//! the prior), stage 3 `refine` (the cluster VAE). No stage sees a label.

mod agreement;
mod attempts;
mod balance;
mod calibrate;
mod checkpoint;
mod count;
mod event;
mod frames;
mod health;
mod identity;
mod kept;
mod log;
mod metrics;
mod mixture;
mod prepare;
mod pretrain;
mod refine;
mod spread;
mod stage;
mod starts;
mod throughput;
mod training_data;
mod witness;

pub use agreement::agreement;
pub use balance::Balance;
pub use calibrate::{dispersion_weight, recalibrate, temperature};
pub use checkpoint::{Checkpoint, Place};
pub use count::{Candidate, Counted, Counting, Space, count_clusters};
pub use event::{Event, Observer};
pub use frames::squashed_columns;
pub use health::{Health, percent};
pub use identity::Stability;
pub use kept::Kept;
pub use log::{epoch_of_model, of_model};
pub use metrics::{Epoch, MixtureReport};
pub use mixture::latent_mixture;
pub use starts::Choice;
pub use throughput::throughput;
pub use witness::Halves;

use std::ops::ControlFlow;

use burn::tensor::Device;

use crate::config::{AugmentKind, CheckedConfig, Count};
use crate::data::{Frames, SeenValues};
use crate::error::{Error, Result};
use crate::files::sha256;
use crate::fitted::Fitted;
use attempts::Attempts;
use identity::OnValues;
use training_data::{TrainingData, kept_from_training};
use witness::Witnessed;

/// Fits the model to unlabelled frames, from the beginning or from a checkpoint of the same settings.
///
/// # Errors
/// What [`check_frames`] says; [`Error::Data`] if the checkpoint is of other frames, [`Error::Diverged`] if a value is not
/// finite, [`Error::Collapsed`] if the clusters are below the bounds after every restart, [`Error::Uncounted`] if their
/// number was to be found and there is none; None as the result if the observer broke off.
pub fn fit(
    config: &CheckedConfig,
    frames: &Frames,
    device: &Device,
    resume: Option<Checkpoint>,
    observer: &mut Observer<'_>,
) -> Result<Option<Fitted>> {
    fit_on(config, frames, std::slice::from_ref(device), resume, observer)
}

/// Fits the model as [`fit()`] does, every batch spread over `devices`; the first does what is not a step.
///
/// The loss is that of the whole batch, so the number of devices changes nothing but rounding.
///
/// # Errors
/// The same as those of [`fit()`].
///
/// # Panics
/// If there is no device.
pub fn fit_on(
    config: &CheckedConfig,
    frames: &Frames,
    devices: &[Device],
    resume: Option<Checkpoint>,
    observer: &mut Observer<'_>,
) -> Result<Option<Fitted>> {
    check_frames(config, frames)?;
    let data_sha256 = sha256_of(frames);
    if resume.as_ref().is_some_and(|checkpoint| checkpoint.data_sha256 != data_sha256) {
        return Err(Error::data("--data", "not the frames that the interrupted run was fitted to"));
    }
    // What was saved is of a network, and what is told before its first step was told then.
    let resumed = resume.is_some();
    let mut silent = |_: Event<'_>| ControlFlow::Continue(());
    let told: &mut Observer<'_> = if resumed { &mut silent } else { observer };
    let Some(prepared) = prepare::run(config, frames, told)? else { return Ok(None) };
    let (preparation, likelihood) = (prepared.preparation(), prepared.likelihood);
    let on_values = match resumed {
        true => OnValues::No,
        false => identity::run(config, frames, preparation, likelihood, devices, observer)?,
    };
    let (config, model, (calibration, novelty)) = match on_values {
        OnValues::Model { config, model, calibrated } => (*config, *model, calibrated),
        OnValues::Stopped => return Ok(None),
        OnValues::No => {
            let looks_for_neighbours = config.augment.kind == AugmentKind::Neighbours;
            if looks_for_neighbours && observer(Event::Neighbours { frames: frames.len() }).is_break() {
                return Ok(None);
            }
            let data = TrainingData::new(config, frames, preparation, devices)?;
            let strength = data.map_strength;
            if strength < 1.0 && !resumed && observer(Event::Weaker { strength }).is_break() {
                return Ok(None);
            }
            let attempts = Attempts { config, data: &data, likelihood, data_sha256: &data_sha256 };
            let Some(model) = attempts.run(resume, observer)? else { return Ok(None) };
            let halves = match witness::run(config, &data, likelihood, &data_sha256, &model, observer)? {
                Witnessed::Said(halves) => halves,
                Witnessed::Stopped => return Ok(None),
            };
            let least = halves.map_or(calibrate::LEAST_TEMPERATURE, |halves| halves.temperature as f32);
            let calibrated = calibrate::calibrate(&model, config, &data, least)?;
            (config.with_clusters(model.prior.clusters()), model, calibrated)
        }
    };
    let (shape, calibrated_on) = (frames.shape, kept_from_training(frames.len()));
    let seen = Some(SeenValues::of(frames, config.kind()));
    Ok(Some(Fitted {
        config,
        model,
        shape,
        front_end: prepared.front_end,
        scaling: prepared.scaling,
        seen,
        likelihood,
        calibration,
        novelty,
        calibrated_on,
        data_sha256,
        columns: None,
    }))
}

/// Whether frames can be fitted: as many as [`check_count`] asks for, and as many different ones as clusters.
///
/// # Errors
/// [`Error::Config`] if there are too few, [`Error::Data`] if all are the same.
pub fn check_frames(config: &CheckedConfig, frames: &Frames) -> Result<()> {
    check_count(config, frames.len())?;
    frames::check_distinct(config, frames)
}

/// Whether there are two frames a cluster, and a batch of each stage as the settings say, among `count` frames of which
/// some are kept to calibrate.
///
/// # Errors
/// [`Error::Config`] if they do not.
pub fn check_count(config: &CheckedConfig, count: usize) -> Result<()> {
    let (kept, k) = (kept_from_training(count), config.least_clusters());
    let least = 2 * k + kept;
    if count < least {
        let why = format!("{count} frames are too few for {k} clusters, which need {least}; bring more frames");
        return Err(Error::config("clusters", why));
    }
    let (n, batches) = (count - kept, [("pretrain", &config.pretrain.batch), ("refine", &config.refine.batch)]);
    for (stage, batch) in batches {
        if let Count::Of(batch) = *batch
            && n < batch
        {
            let why = format!("{count} frames, {kept} of them kept to calibrate, are too few for batches of {batch}");
            return Err(Error::config(format!("{stage}.batch"), why + "; lower it or leave it out"));
        }
    }
    Ok(())
}

/// SHA-256 of the values of frames, f32 little-endian.
pub fn sha256_of(frames: &Frames) -> String {
    let bytes: Vec<u8> = frames.values.iter().flat_map(|v| v.to_le_bytes()).collect();
    sha256(&bytes)
}
