//! Training: stage 1 `pretrain` (a VAE without clusters), stage 2 `mixture` (EM on its latents starts
//! the prior), stage 3 `refine` (the cluster VAE). No stage sees a label.

mod balance;
mod calibrate;
mod checkpoint;
mod count;
mod event;
mod metrics;
mod mixture;
mod pretrain;
mod refine;
mod spread;
mod stage;
mod throughput;
mod training_data;

pub use balance::Balance;
pub use calibrate::temperature;
pub use checkpoint::{Checkpoint, Place};
pub use count::Candidate;
pub use event::{Event, Observer};
pub use metrics::{Epoch, MixtureReport};
pub use mixture::latent_mixture;
pub use throughput::throughput;

use burn::module::Module;
use burn::tensor::Device;

use crate::config::{AugmentKind, Checked};
use crate::data::Frames;
use crate::data::scaling::Scaling;
use crate::error::{Error, Result};
use crate::files::sha256;
use crate::fitted::Fitted;
use crate::model::{ClusterVae, Init};
use crate::rng::{Purpose, stream};
use crate::stage::StageName;
use stage::{Ended, Start};
use training_data::{CALIBRATION_SHARE, TrainingData, likelihood};

/// Fits the model to unlabelled frames, from the beginning or from a checkpoint of the same settings.
///
/// # Errors
/// [`Error::Config`] if there are too few frames for the batch, [`Error::Data`] if the checkpoint is of other
/// frames, [`Error::Diverged`] if a value is not finite, [`Error::Collapsed`] if the clusters are below the
/// bounds after every restart; None as the result if the observer broke off.
pub fn fit(
    config: &Checked,
    frames: &Frames,
    device: &Device,
    resume: Option<Checkpoint>,
    observer: &mut Observer<'_>,
) -> Result<Option<Fitted>> {
    fit_on(config, frames, std::slice::from_ref(device), resume, observer)
}

/// [`fit()`], every batch spread over `devices`, of which there is at least one; the first does what is not a step.
///
/// The loss is that of the whole batch, so the number of devices changes nothing but rounding.
///
/// # Errors
/// As [`fit()`].
///
/// # Panics
/// Without a device.
pub fn fit_on(
    config: &Checked,
    frames: &Frames,
    devices: &[Device],
    mut resume: Option<Checkpoint>,
    observer: &mut Observer<'_>,
) -> Result<Option<Fitted>> {
    let least = config.pretrain.batch.max(config.refine.batch).max(2 * config.clusters());
    if frames.len() < least + frames.len() / CALIBRATION_SHARE {
        return Err(Error::config(
            "pretrain.batch, refine.batch",
            format!(
                "{} frames are too few for batches of {least}; lower the batch size or bring more frames",
                frames.len()
            ),
        ));
    }
    let bytes: Vec<u8> = frames.values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let data_sha256 = sha256(&bytes);
    if resume.as_ref().is_some_and(|checkpoint| checkpoint.data_sha256 != data_sha256) {
        return Err(Error::data("--data", "not the frames that the interrupted run was fitted to"));
    }
    let scaling = Scaling::fit(frames, config.frames.of(frames.shape));
    let likelihood = likelihood(config, scaling.is_some())?;
    if config.augment.kind == AugmentKind::Neighbours && observer(Event::Neighbours { frames: frames.len() }).is_break()
    {
        return Ok(None);
    }
    let data = TrainingData::new(config, frames, scaling.as_ref(), devices)?;
    let device = &data.devices[0];
    let mut attempt = resume.as_ref().map_or(0, |checkpoint| checkpoint.place.attempt);
    let model = loop {
        let config = config.attempt(attempt);
        let mut init = Init { rng: stream(config.seed, Purpose::Weights, 0), device };
        let model = ClusterVae::new(&config, frames.shape, likelihood, &mut init);
        let start = Start { model, attempt, data_sha256: &data_sha256, checkpoint: resume.take() };
        let why = match stages(&config, start, &data, observer)? {
            Ended::Stopped => return Ok(None),
            Ended::Again(why) => why,
            Ended::Model(model) => {
                let model = model.valid();
                let balance = Balance::of_model(&model, data.training())?;
                match balance.fault(&config.collapse, model.prior.clusters()) {
                    None => break model,
                    Some(why) => why,
                }
            }
        };
        attempt += 1;
        if attempt > config.collapse.restarts {
            return Err(Error::Collapsed { attempts: attempt, why });
        }
        if observer(Event::Restart { restarts: attempt, why: &why }).is_break() {
            return Ok(None);
        }
    };
    let calibration = calibrate::calibrate(&model, config, &data)?;
    Ok(Some(Fitted {
        config: config.with_clusters(model.prior.clusters()),
        model,
        shape: frames.shape,
        scaling,
        likelihood,
        calibration,
        data_sha256,
    }))
}

/// Runs the stages that the checkpoint, if there is one, has not behind it.
fn stages(config: &Checked, start: Start<'_>, data: &TrainingData, observer: &mut Observer<'_>) -> Result<Ended> {
    let Start { mut model, attempt, data_sha256, mut checkpoint } = start;
    let mut config = config.clone();
    let mut first = StageName::Pretrain;
    if let Some(checkpoint) = &checkpoint {
        if checkpoint.place.stage > StageName::Pretrain {
            config = config.with_clusters(checkpoint.clusters);
        }
        model = checkpoint.model(model.keep_clusters(checkpoint.clusters))?;
        first = checkpoint.place.stage;
        if first == StageName::Mixture {
            first = StageName::Refine;
        }
    }
    for stage in StageName::ALL.into_iter().filter(|stage| *stage >= first) {
        let checkpoint = checkpoint.take().filter(|checkpoint| checkpoint.place.stage == stage);
        let start = Start { model, attempt, data_sha256, checkpoint };
        let ended = match stage {
            StageName::Pretrain => pretrain::run(&config, start, data, observer)?.into(),
            StageName::Mixture => mixture::run(&config, start, data.training(), observer)?,
            StageName::Refine => refine::run(&config, start, data, observer)?.into(),
        };
        let Ended::Model(done) = ended else { return Ok(ended) };
        model = *done;
        if stage == StageName::Mixture {
            // It may be the mixture that finds how many clusters there are.
            config = config.with_clusters(model.prior.clusters());
        }
    }
    Ok(Ended::Model(Box::new(model)))
}
