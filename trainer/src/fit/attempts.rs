//! Attempts at a training: the stages from random weights, begun anew from other weights if the clusters collapse.

use burn::module::Module;

use super::balance::Balance;
use super::checkpoint::Checkpoint;
use super::event::{Event, Observer};
use super::stage::{Ended, StageStart};
use super::training_data::TrainingData;
use super::{mixture, pretrain, refine};
use crate::config::CheckedConfig;
use crate::error::{Error, Result};
use crate::model::{ClusterVae, Init, Likelihood};
use crate::rng::{Purpose, stream};
use crate::stage::StageName;

/// What all attempts at a training have in common.
pub struct Attempts<'a> {
    /// The settings, with the seed of the first attempt.
    pub config: &'a CheckedConfig,
    /// The frames, scaled, and the devices.
    pub data: &'a TrainingData,
    /// Distribution of a value.
    pub likelihood: Likelihood,
    /// SHA-256 of the values as they were given.
    pub data_sha256: &'a str,
}

impl Attempts<'_> {
    /// Trains until the clusters hold, from `resume` on if it is there; without gradient tracking. None if the observer
    /// broke off.
    ///
    /// # Errors
    /// [`Error::Collapsed`] if they do not hold after every restart.
    pub fn run(&self, mut resume: Option<Checkpoint>, observer: &mut Observer<'_>) -> Result<Option<ClusterVae>> {
        let mut attempt = resume.as_ref().map_or(0, |checkpoint| checkpoint.place.attempt);
        loop {
            let why = match self.attempt(attempt, resume.take(), observer)? {
                Ended::Model(model) => return Ok(Some(*model)),
                Ended::Stopped => return Ok(None),
                Ended::Again(why) => why,
            };
            attempt += 1;
            if attempt > self.config.collapse.restarts {
                return Err(Error::Collapsed { attempts: attempt, why });
            }
            if observer(Event::Restart { restarts: attempt, why: &why }).is_break() {
                return Ok(None);
            }
        }
    }

    /// One attempt: random weights, the stages, and the verdict on the clusters.
    fn attempt(&self, attempt: usize, resume: Option<Checkpoint>, observer: &mut Observer<'_>) -> Result<Ended> {
        let config = self.config.attempt(attempt);
        let mut init = Init { rng: stream(config.seed, Purpose::Weights, 0), device: &self.data.devices[0] };
        let fresh = ClusterVae::new(&config, self.data.training().shape, self.likelihood, &mut init);
        let start = StageStart { model: fresh, attempt, data_sha256: self.data_sha256, unfinished: resume };
        let ended = stages(config.clone(), start, self.data, observer)?;
        let Ended::Model(model) = ended else { return Ok(ended) };
        let model = model.valid();
        let balance = Balance::of_model(&model, self.data.training())?;
        Ok(match balance.fault(&config.collapse, model.prior.clusters()) {
            Some(why) => Ended::Again(why),
            None => Ended::Model(Box::new(model)),
        })
    }
}

/// Runs the stages one after another; those before the unfinished one, if there is one, are done.
fn stages(
    mut config: CheckedConfig,
    start: StageStart<'_>,
    data: &TrainingData,
    observer: &mut Observer<'_>,
) -> Result<Ended> {
    let StageStart { mut model, attempt, data_sha256, unfinished: mut resume } = start;
    let first = first_stage(resume.as_ref());
    if let Some(saved) = &resume {
        if saved.place.stage > StageName::Pretrain {
            config = config.with_clusters(saved.clusters);
        }
        model = saved.model(model.keep_clusters(saved.clusters))?;
    }
    for stage in StageName::ALL.into_iter().filter(|stage| *stage >= first) {
        let unfinished = resume.take().filter(|saved| saved.place.stage == stage);
        let start = StageStart { model, attempt, data_sha256, unfinished };
        let ended = match stage {
            StageName::Pretrain => pretrain::run(&config, start, data, observer)?.into(),
            StageName::Mixture => mixture::run(&config, start, data.training(), observer)?,
            StageName::Refine => refine::run(&config, start, data, observer)?.into(),
        };
        let Ended::Model(trained) = ended else { return Ok(ended) };
        model = *trained;
        if stage == StageName::Mixture {
            // It may be the mixture that finds how many clusters there are.
            config = config.with_clusters(model.prior.clusters());
        }
    }
    Ok(Ended::Model(Box::new(model)))
}

/// The stage to begin with; a mixture is saved once it is fitted, so what is left after it is stage 3.
fn first_stage(saved: Option<&Checkpoint>) -> StageName {
    match saved.map(|saved| saved.place.stage) {
        None | Some(StageName::Pretrain) => StageName::Pretrain,
        Some(StageName::Mixture | StageName::Refine) => StageName::Refine,
    }
}
