//! Attempts at a training: the stages from random weights, begun anew from other weights if the clusters collapse.

use burn::module::Module;

use super::balance::Balance;
use super::checkpoint::{Checkpoint, Place, Start};
use super::event::{Event, Observer};
use super::metrics::Totals;
use super::stage::{Ended, StageStart};
use super::starts::Choice;
use super::training_data::TrainingData;
use super::{mixture, pretrain, refine};
use crate::config::CheckedConfig;
use crate::data::Source;
use crate::error::{Error, Result};
use crate::model::{ClusterVae, Init, Likelihood};
use crate::rng::{Purpose, stream};
use crate::stage::StageName;

/// What all attempts at a training have in common.
pub struct Attempts<'a> {
    /// The settings, with the seed of the first attempt.
    pub config: &'a CheckedConfig,
    /// The frames, scaled, and the devices.
    pub data: &'a TrainingData<'a>,
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
        let (started, resume) = match resume {
            // A mixture is saved once one is chosen, so what is left after it is stage 3.
            Some(saved) if saved.place.stage > StageName::Pretrain => {
                (saved.model(self.fresh(&config).keep_clusters(saved.clusters))?, Some(saved))
            }
            resume => match self.start(&config, attempt, resume, observer)? {
                Ended::Model(model) => (*model, None),
                ended => return Ok(ended),
            },
        };
        let place = Place { attempt, start: self.starts(), stage: StageName::Refine, step: 0 };
        let unfinished = resume.filter(|saved| saved.place.stage == StageName::Refine);
        self.refined(&config, started, place, unfinished, observer)
    }

    /// Stages 1 and 2 of a first attempt, from random weights.
    pub fn started(&self, observer: &mut Observer<'_>) -> Result<Ended> {
        self.start(self.config, 0, None, observer)
    }

    /// Stages 2 and 3 with the encoder and the decoder that stage 1 left, and the verdict on the clusters.
    pub fn clustered(&self, pretrained: ClusterVae, observer: &mut Observer<'_>) -> Result<Ended> {
        let Some(started) = mixture::run(self.config, pretrained, &self.data.looked_at, observer)? else {
            return Ok(Ended::Stopped);
        };
        let place = Place { attempt: 0, start: 0, stage: StageName::Refine, step: 0 };
        self.refined(self.config, started.model, place, None, observer)
    }

    /// Stage 3 of a model that stage 2 left, or `unfinished` of it, and the verdict on the clusters.
    fn refined(
        &self,
        config: &CheckedConfig,
        started: ClusterVae,
        place: Place,
        unfinished: Option<Checkpoint>,
        observer: &mut Observer<'_>,
    ) -> Result<Ended> {
        // It may be the mixture that found how many clusters there are.
        let config = config.with_clusters(started.prior.clusters());
        // p(c) is what it is for the clusters that stage 3 begins with, and in the end for those that it leaves.
        let looked_at = &self.data.looked_at;
        let model = if unfinished.is_some() { started } else { refine::weigh(started, looked_at, observer)? };
        let start = StageStart { model, place, starts: &[], data_sha256: self.data_sha256, unfinished };
        let Some(model) = refine::run(&config, start, self.data, observer)? else { return Ok(Ended::Stopped) };
        let model = refine::weigh(model, looked_at, observer)?.valid();
        let balance = Balance::of_model(&model, self.data.training())?;
        Ok(match balance.fault(&config.collapse, model.prior.clusters()) {
            Some(why) => Ended::Again(why),
            None => Ended::Model(Box::new(model)),
        })
    }

    /// Number of starts of stage 1.
    fn starts(&self) -> usize {
        self.config.pretrain.starts(self.data.training().len())
    }

    /// A model with the random weights of the seed in `config`.
    fn fresh(&self, config: &CheckedConfig) -> ClusterVae {
        let mut init = Init { rng: stream(config.seed, Purpose::Weights, 0), device: &self.data.devices[0] };
        ClusterVae::new(config, self.data.training().shape(), self.likelihood, &mut init)
    }

    /// Stages 1 and 2, of the start that agrees best with the others; from `resume` on if it is there.
    fn start(
        &self,
        config: &CheckedConfig,
        attempt: usize,
        mut resume: Option<Checkpoint>,
        observer: &mut Observer<'_>,
    ) -> Result<Ended> {
        let count = self.starts();
        let mut ended = resume.as_mut().map(|saved| std::mem::take(&mut saved.starts)).unwrap_or_default();
        let mut last = None;
        for start in ended.len()..count {
            let of_start = config.start(start);
            let unfinished = resume.take();
            let fresh = self.fresh(&of_start);
            let model = match &unfinished {
                Some(saved) => saved.model(fresh)?,
                None => fresh,
            };
            let place = Place { attempt, start, stage: StageName::Pretrain, step: 0 };
            let stage = StageStart { model, place, starts: &ended, data_sha256: self.data_sha256, unfinished };
            let Some(model) = pretrain::run(&of_start, stage, self.data, observer)? else { return Ok(Ended::Stopped) };
            let Some(started) = mixture::run(&of_start, model, &self.data.looked_at, observer)? else {
                return Ok(Ended::Stopped);
            };
            if count > 1 {
                ended.push(Start::new(&started)?);
            }
            last = Some(started);
        }
        let (model, fault) = if count > 1 {
            let choice = Choice::of(&ended);
            if observer(Event::Chosen(&choice)).is_break() {
                return Ok(Ended::Stopped);
            }
            let start = &ended[choice.chosen];
            (start.model(self.fresh(config))?, start.told.fault.clone())
        } else {
            let Some(started) = last else { return Ok(Ended::Stopped) };
            (started.model, started.fault)
        };
        if let Some(why) = fault.filter(|_| attempt < config.collapse.restarts) {
            return Ok(Ended::Again(why));
        }
        let place = Place { attempt, start: count, stage: StageName::Mixture, step: 1 };
        let mut checkpoint = || Checkpoint::new(place, self.data_sha256, &model, None, Totals::default());
        let flow = observer(Event::Step { done: 1, checkpoint: &mut checkpoint });
        Ok(if flow.is_continue() { Ended::Model(Box::new(model)) } else { Ended::Stopped })
    }
}
