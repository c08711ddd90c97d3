//! Training: stage 1 `pretrain` (a VAE without clusters), stage 2 `mixture` (EM on its latents starts
//! the prior), stage 3 `refine` (the cluster VAE). No stage sees a label.

mod agreement;
mod attempts;
mod balance;
mod calibrate;
mod checkpoint;
mod contest;
mod count;
mod event;
mod frames;
mod health;
mod identity;
mod kept;
mod log;
mod memory;
mod metrics;
mod mixture;
mod prepare;
mod pretrain;
mod refine;
mod rivals;
mod split;
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
pub use event::{Event, Observer, Pass};
pub use frames::squashed_columns;
pub use health::{Health, percent};
pub use kept::Kept;
pub use log::{epoch_of_model, of_model};
pub use memory::{Memory, Need};
pub use metrics::{Epoch, MixtureReport};
pub use mixture::latent_mixture;
pub use prepare::seen_as;
pub use rivals::{Rival, Rivals};
pub use starts::Choice;
pub use throughput::throughput;
pub use witness::Halves;

use std::ops::ControlFlow;
use std::sync::Arc;

use burn::tensor::Device;

use crate::config::{CheckedConfig, Count, EncoderKind, Weights};
use crate::data::{Preparation, SeenValues, Source, Watched, chunks};
use crate::error::{Error, Result};
use crate::files::Hash;
use crate::fitted::{Fitted, NoveltyScore};
use crate::model::{ClusterVae, Likelihood};
use attempts::Attempts;
use contest::{Contest, Outcome, Won};
use event::told;
use identity::OnValues;
use split::{kept_from_training, split};
use training_data::TrainingData;

/// How often the values that training saw are looked at: for the range with the mean, and for the deviation.
const SEEN_LOOKS: usize = 2;

/// Fits the model to unlabelled frames, from the beginning or from a checkpoint of the same settings.
///
/// # Errors
/// What [`check_frames`] says; [`Error::Data`] if the checkpoint is of other frames, [`Error::Diverged`] if a value is not
/// finite, [`Error::Collapsed`] if the clusters are below the bounds after every restart, [`Error::Uncounted`] if their
/// number was to be found and there is none; None as the result if the observer broke off.
pub fn fit(
    config: &CheckedConfig,
    frames: &(dyn Source + Sync),
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
    frames: &(dyn Source + Sync),
    devices: &[Device],
    resume: Option<Checkpoint>,
    observer: &mut Observer<'_>,
) -> Result<Option<Fitted>> {
    match fitted(config, frames, devices, resume, observer) {
        Err(Error::Stopped) => Ok(None),
        ended => ended,
    }
}

fn fitted(
    config: &CheckedConfig,
    frames: &(dyn Source + Sync),
    devices: &[Device],
    resume: Option<Checkpoint>,
    observer: &mut Observer<'_>,
) -> Result<Option<Fitted>> {
    let n = frames.len();
    check_count(config, n)?;
    let data_sha256 = {
        let mut tell = told(observer, Pass::Hash, n);
        let frames = Watched::new(frames, &mut tell);
        frames::check_distinct(config, &frames)?;
        sha256_of(&frames)?
    };
    if resume.as_ref().is_some_and(|checkpoint| checkpoint.data_sha256 != data_sha256) {
        return Err(Error::data("--data", "not the frames that the interrupted run was fitted to"));
    }
    // What is told before the first step was told then.
    let resumed = resume.is_some();
    let heard: &mut Observer<'_> = &mut |event| match event {
        Event::FrontEnd { .. } | Event::Sound { .. } | Event::Tone { .. } | Event::Weaker { .. } | Event::Rivals(_)
            if resumed =>
        {
            ControlFlow::Continue(())
        }
        event => observer(event),
    };
    let Some(prepared) = prepare::run(config, frames, heard)? else { return Ok(None) };
    let (preparation, likelihood) = (prepared.preparation(), prepared.likelihood);
    let (all, of_windows) = (frames, config);
    let pictures = prepare::pictures(prepared.front_end.as_ref(), frames)?;
    let (of_pictures, scaling) = (config.of_sound(), prepared.scaling.as_ref());
    let (config, frames, preparation) = match &pictures {
        Some(pictures) => (&of_pictures, pictures as &(dyn Source + Sync), Preparation::new(None, scaling)),
        None => (config, frames, preparation),
    };
    // A network is resumed; whether it is to be one was settled before.
    let values = match resumed {
        true => OnValues::No,
        false => identity::candidate(config, frames, preparation, likelihood, devices, heard)?,
    };
    let (values, asked) = match values {
        OnValues::Of { config, asked } => (Some(config), asked),
        OnValues::No => (None, false),
        OnValues::Stopped => return Ok(None),
    };
    let data = TrainingData::new(config, frames, preparation, devices, heard)?;
    let contest = Contest {
        config,
        values: values.as_deref(),
        network: !asked,
        data: &data,
        likelihood,
        data_sha256: &data_sha256,
    };
    let (kept, saved) = (data.held_out.len(), resume.as_ref().map_or(&[][..], |resume| &resume.found));
    let (mixture, won) = match Won::decode(saved, data.training().len(), kept)? {
        Some(won) => (None, won),
        None => match contest.run(heard)? {
            Outcome::Found { rivals, halves } => {
                let weights = rivals.best().map_or(config.mixture.weights, |best| best.weights);
                let is_mixture = rivals.best().is_some_and(|best| best.encoder == EncoderKind::Identity);
                (values.filter(|_| is_mixture), Won { weights, halves })
            }
            Outcome::None => (None, Won { weights: config.mixture.weights, halves: Vec::new() }),
            Outcome::Stopped => return Ok(None),
        },
    };
    let (config, model, (calibration, novelty)) = if let Some(values) = mixture {
        let config = values.with_weights(won.weights);
        let Some((model, calibrated)) = identity::run(&config, frames, preparation, devices, heard)? else {
            return Ok(None);
        };
        (config, model, calibrated)
    } else {
        let config = config.with_weights(won.weights);
        let Some((model, calibrated)) = network(&config, &data, likelihood, &data_sha256, won, resume, heard)? else {
            return Ok(None);
        };
        (config.with_clusters(model.prior.clusters()), model, calibrated)
    };
    let (frames, calibrated_on) = (all, split(frames, config.seed)?.held_out.len());
    let config = if pictures.is_some() { config.of_windows(of_windows) } else { config };
    let shape = frames.shape();
    let mut tell = told(observer, Pass::Seen, SEEN_LOOKS * n);
    let seen = Some(SeenValues::of(&Watched::new(frames, &mut tell), config.kind())?);
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
        manner: None,
    }))
}

/// Trains a network, and calibrates it; `won` is what models of halves of the frames say, as far as that is known already.
/// None if the observer broke off.
fn network(
    config: &CheckedConfig,
    data: &TrainingData<'_>,
    likelihood: Likelihood,
    data_sha256: &str,
    won: Won,
    resume: Option<Checkpoint>,
    observer: &mut Observer<'_>,
) -> Result<Option<(ClusterVae, (runtime::Calibration, NoveltyScore))>> {
    let found = Arc::new(won.encode()?);
    let mut halves = won.halves;
    let observer: &mut Observer<'_> = &mut |event| match event {
        Event::Step { done, checkpoint } => {
            let mut with = || checkpoint().map(|saved| saved.with_found(found.clone()));
            observer(Event::Step { done, checkpoint: &mut with })
        }
        event => observer(event),
    };
    let (looked_at, of) = (data.looked_at.len(), data.training().len());
    if looked_at < of && observer(Event::Sampled { frames: looked_at, of }).is_break() {
        return Ok(None);
    }
    let strength = data.map_strength;
    if strength < 1.0 && observer(Event::Weaker { strength }).is_break() {
        return Ok(None);
    }
    let attempts = Attempts { config, data, likelihood, data_sha256 };
    let Some(model) = attempts.run(resume, observer)? else { return Ok(None) };
    if config.clusters == Count::Auto {
        // Only now it is known how many clusters a model of a half has. What it is to be is settled.
        let weights = if model.prior.log_weights.is_some() { Weights::Learned } else { Weights::Uniform };
        let config = &config.with_clusters(model.prior.clusters()).with_weights(weights);
        let contest = Contest { config, values: None, network: true, data, likelihood, data_sha256 };
        let observer: &mut Observer<'_> = &mut |event| match event {
            Event::Rivals(_) => ControlFlow::Continue(()),
            event => observer(event),
        };
        match contest.run(observer)? {
            Outcome::Found { halves: found, .. } => halves = found,
            Outcome::None => {}
            Outcome::Stopped => return Ok(None),
        }
    }
    let halves = witness::compare(&model, data, &halves)?;
    if let Some(halves) = &halves
        && observer(Event::Witnessed(halves)).is_break()
    {
        return Ok(None);
    }
    let least = halves.map_or(calibrate::LEAST_TEMPERATURE, |halves| halves.temperature as f32);
    let calibrated = calibrate::calibrate(&model, config, data, least, observer)?;
    Ok(Some((model, calibrated)))
}

/// Whether frames can be fitted: as many as [`check_count`] asks for, and as many different ones as clusters.
///
/// # Errors
/// [`Error::Config`] if there are too few, [`Error::Data`] if all are the same.
pub fn check_frames(config: &CheckedConfig, frames: &dyn Source) -> Result<()> {
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
///
/// # Errors
/// As for [`Source::read`].
pub fn sha256_of(frames: &dyn Source) -> Result<String> {
    if let Some(known) = frames.sha256().and_then(|kept| kept.get()) {
        return Ok(known.clone());
    }
    let mut hash = Hash::default();
    for chunk in chunks(frames) {
        let values = chunk?.1;
        let mut bytes = vec![0; size_of_val(&values[..])];
        bytes.as_chunks_mut().0.iter_mut().zip(&values).for_each(|(bytes, value)| *bytes = value.to_le_bytes());
        hash.update(&bytes);
    }
    let found = hash.finish();
    Ok(frames.sha256().map_or(found.clone(), |kept| kept.get_or_init(|| found).clone()))
}
