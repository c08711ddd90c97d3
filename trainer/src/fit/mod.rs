//! Training: stage 1 `pretrain` (a VAE without clusters), stage 2 `mixture` (EM on its latents starts
//! the prior), stage 3 `refine` (the cluster VAE). No stage sees a label.

mod balance;
mod bound;
mod calibrate;
mod checkpoint;
mod count;
mod metrics;
mod mixture;
mod pretrain;
mod refine;
mod spread;
mod stage;
mod throughput;

pub use balance::Balance;
pub use bound::{BoundReport, bound};
pub use calibrate::{novelty, temperature};
pub use checkpoint::{Checkpoint, Place, StageName};
pub use count::Candidate;
pub use metrics::{Epoch, MixtureReport};
pub use mixture::latent_mixture;
pub use stage::{encode, to_host};
pub use throughput::throughput;

use std::ops::ControlFlow;
use std::path::Path;

use burn::module::Module;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Tensor};
use rand::seq::SliceRandom;
use runtime::Calibration;

use crate::config::{self, AugmentConfig, AugmentKind, Checked};
use crate::critic::amortised::Amortised;
use crate::data::batches::Views;
use crate::data::neighbours::Neighbours;
use crate::data::scaling::Scaling;
use crate::data::store::Store;
use crate::data::{FrameShape, Frames};
use crate::error::{Error, Result};
use crate::model::{ClusterVae, Init, Likelihood, Posterior};
use crate::rng::{Purpose, stream};
use crate::run::sha256;
use stage::Start;

/// What training reports while it runs.
pub enum Event<'a> {
    /// The nearest frames of each are looked for, which takes minutes where there are tens of thousands.
    Neighbours {
        /// Frames.
        frames: usize,
    },
    /// A stage of this many steps begins.
    Stage {
        /// Which.
        name: StageName,
        /// Steps; the mixture counts as one.
        steps: usize,
    },
    /// A step is done.
    Step {
        /// Steps done within the stage.
        done: usize,
        /// Makes a checkpoint of this place, or says what is not finite.
        checkpoint: &'a mut dyn FnMut() -> Result<Checkpoint>,
    },
    /// An epoch is done.
    Epoch(&'a Epoch),
    /// EM is done.
    Mixture(&'a MixtureReport),
    /// The clusters collapsed; training starts again from other weights.
    Restart {
        /// Restarts so far, this one included.
        restarts: usize,
        /// What is below its bound.
        why: &'a str,
    },
}

/// Receives [`Event`]s; answers whether to go on.
pub type Observer<'a> = dyn FnMut(Event<'_>) -> ControlFlow<()> + 'a;

/// A trained model with all that inference and export need.
#[derive(Clone, Debug)]
pub struct Fitted {
    /// The settings it was trained with.
    pub config: Checked,
    /// Weights, without gradient tracking.
    pub model: ClusterVae,
    /// Shape of a frame.
    pub shape: FrameShape,
    /// Standardisation of the input, if any.
    pub scaling: Option<Scaling>,
    /// Distribution of a value.
    pub likelihood: Likelihood,
    /// Novelty threshold and temperature.
    pub calibration: Calibration,
    /// SHA-256 of the values it was fitted to.
    pub data_sha256: String,
    /// The amortised critic, once it is trained.
    pub critic: Option<Amortised>,
}

impl Fitted {
    /// log q(c|x) as the device gives it: the model's own, at the calibrated temperature.
    ///
    /// # Shapes
    /// - `posterior`: of B frames
    /// - output: `[B,K]`, each row sums to 1 in probability
    pub fn log_responsibilities(&self, posterior: &Posterior) -> Tensor<2> {
        log_softmax(self.model.log_responsibilities(posterior) / f64::from(self.calibration.temperature), 1)
    }

    /// The frames as the model takes them.
    ///
    /// # Errors
    /// [`Error::Data`] if they have another shape.
    pub fn scale(&self, frames: &Frames) -> Result<Frames> {
        if frames.shape != self.shape {
            let problem = format!("frames of shape {}, the model takes {}", frames.shape, self.shape);
            return Err(Error::data(Path::new("frames"), problem));
        }
        let mut scaled = frames.clone();
        if let Some(scaling) = &self.scaling {
            scaling.apply(&mut scaled.values);
        }
        Ok(scaled)
    }
}

/// Share of the frames kept from training to calibrate novelty, and the most there may be.
const CALIBRATION_SHARE: usize = 20;
const MAX_CALIBRATION: usize = 3000;

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
        return Err(Error::data(Path::new("--data"), "not the frames that the interrupted run was fitted to"));
    }
    let scaling = Scaling::fit(frames, config.frames.of(frames.shape));
    let likelihood = likelihood(config, scaling.is_some())?;
    if config.augment.kind == AugmentKind::Neighbours && observer(Event::Neighbours { frames: frames.len() }).is_break()
    {
        return Ok(None);
    }
    let data = Material::new(config, frames, scaling.as_ref(), devices)?;
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
                let balance = Balance::of_model(&model, &data.training)?;
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
        critic: None,
    }))
}

/// Runs the stages that the checkpoint, if there is one, has not behind it.
fn stages(config: &Checked, start: Start<'_>, data: &Material, observer: &mut Observer<'_>) -> Result<Ended> {
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
            StageName::Mixture => mixture::run(&config, start, &data.training, observer)?,
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

/// How a stage, or all of them, ended.
enum Ended {
    /// With a model.
    Model(Box<ClusterVae>),
    /// With a reason to start again from other weights.
    Again(String),
    /// The observer broke off.
    Stopped,
}

impl From<Option<ClusterVae>> for Ended {
    fn from(model: Option<ClusterVae>) -> Self {
        model.map_or(Self::Stopped, |model| Self::Model(Box::new(model)))
    }
}

fn likelihood(config: &Checked, scaled: bool) -> Result<Likelihood> {
    match config.decoder.likelihood {
        config::Likelihood::Bernoulli if scaled => Err(Error::config(
            "decoder.likelihood",
            "bernoulli needs every value in [0, 1]; use gaussian or auto for these frames",
        )),
        config::Likelihood::Bernoulli => Ok(Likelihood::Bernoulli),
        config::Likelihood::Gaussian => Ok(Likelihood::Gaussian),
        config::Likelihood::Auto if scaled => Ok(Likelihood::Gaussian),
        config::Likelihood::Auto => Ok(Likelihood::Bernoulli),
    }
}

/// What the stages look at, already scaled.
struct Material {
    /// Frames to train on.
    training: Frames,
    /// Frames that only calibrate, and whose bounds are reported.
    held_out: Frames,
    /// For every training frame those near it, if they stand for views.
    neighbours: Option<Neighbours>,
    /// Where batches of them are made.
    store: Store,
    /// What a step computes on, with gradient tracking; at least one.
    devices: Vec<Device>,
    /// Whether stage 3 reports the bounds of held-out frames.
    reports_bounds: bool,
}

impl Material {
    fn new(config: &Checked, frames: &Frames, scaling: Option<&Scaling>, devices: &[Device]) -> Result<Self> {
        let mut order: Vec<usize> = (0..frames.len()).collect();
        order.shuffle(&mut stream(config.seed, Purpose::Calibration, 0));
        let count = (frames.len() / CALIBRATION_SHARE).clamp(1, MAX_CALIBRATION);
        let (mut training, mut held_out) = (frames.select(&order[count..]), frames.select(&order[..count]));
        if let Some(scaling) = scaling {
            scaling.apply(&mut training.values);
            scaling.apply(&mut held_out.values);
        }
        let wanted = config.augment.kind == AugmentKind::Neighbours;
        let neighbours =
            wanted.then(|| Neighbours::find(&training, config.augment.neighbours, &devices[0])).transpose()?;
        let devices: Vec<Device> = devices.iter().map(|device| device.clone().autodiff()).collect();
        let store = Store::new(&training, &devices[0]);
        Ok(Self { training, held_out, neighbours, store, devices, reports_bounds: true })
    }

    /// What makes the views of a stage.
    fn views(&self, config: &Checked, augment: &AugmentConfig, strength: f64) -> Views<'_> {
        let shape = self.training.shape;
        Views::new(augment, shape, config.frames.of(shape), self.neighbours.as_ref(), strength)
    }
}
