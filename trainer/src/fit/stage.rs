//! The loop that the two gradient stages share.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};

use super::checkpoint::{Checkpoint, Place, Start, read_weights, weights_of};
use super::event::{Event, Observer};
use super::kept::{Kept, Watch};
use super::metrics::{Epoch, StepOutcome, Sums, Totals};
use super::spread::Spread;
use crate::cpu::{on_cpu, optimizer};
use crate::data::batches::{Batch, BatchPlan, Store};
use crate::error::Result;
use crate::fitted::BoundReport;
use crate::model::ClusterVae;
use crate::stage::StageName;

/// Steps between two looks at whether every value is still finite.
const CHECK_EVERY: usize = 50;

/// What a stage begins with.
pub struct StageStart<'a> {
    /// The model, with gradient tracking.
    pub model: ClusterVae,
    /// Where in the training the stage begins.
    pub place: Place,
    /// The starts of stage 1 that came to an end before, as long as none is chosen.
    pub starts: &'a [Start],
    /// SHA-256 of the values that the model is fitted to.
    pub data_sha256: &'a str,
    /// What an earlier run of this very stage saved on its way; `model` has its weights.
    pub unfinished: Option<Checkpoint>,
}

/// A function that evaluates the bounds of the paper for a model.
pub type Bounds<'a> = dyn Fn(&ClusterVae) -> Result<BoundReport> + 'a;

/// A function that gives what a stage maximises for each held-out frame, nats `[n]`.
pub type Judge<'a> = dyn Fn(&ClusterVae) -> Result<Vec<f64>> + 'a;

/// What tells one gradient stage from the other.
pub struct Stage<'a> {
    /// Name of the stage.
    pub name: StageName,
    /// Number of steps.
    pub steps: usize,
    /// The recipe for the batches.
    pub plan: BatchPlan<'a>,
    /// What makes the batches on the device.
    pub store: &'a Store<'a>,
    /// Learning rate of a step, counted from 0.
    pub learning_rate: &'a dyn Fn(usize) -> f64,
    /// The objective of a step, counted from 0, for its batch.
    pub objective: &'a dyn Fn(&ClusterVae, &Spread<'_>, &Batch, usize) -> StepOutcome,
    /// The bounds of held-out frames, reported after every epoch; None if they are not.
    pub held_out: Option<&'a Bounds<'a>>,
    /// The objective of held-out frames, by which the epoch is found whose weights are kept; None if it is the last.
    pub judge: Option<&'a Judge<'a>>,
}

impl Stage<'_> {
    /// Runs all steps, or those that an unfinished stage has left; None if the observer broke off.
    pub fn run(
        &self,
        start: StageStart<'_>,
        devices: &[Device],
        observer: &mut Observer<'_>,
    ) -> Result<Option<ClusterVae>> {
        if observer(Event::Stage { name: self.name, steps: self.steps }).is_break() {
            return Ok(None);
        }
        let StageStart { mut model, place, starts, data_sha256, unfinished } = start;
        let mut optimizer = optimizer();
        let (mut first, mut totals, mut watch) = (0, Totals::default(), Watch::default());
        if let Some(saved) = unfinished {
            optimizer = saved.optimizer(optimizer)?;
            (first, totals, watch) = (saved.place.step, saved.totals, saved.watch);
        }
        let per_epoch = self.plan.steps_per_epoch();
        let mut sums = Sums::new(self.name, totals);
        std::thread::scope(|scope| {
            let (batches, _worker) = self.plan.spawn(scope, first..self.steps);
            for step in first..self.steps {
                // The worker only stops early if it panicked, which the scope passes on.
                let Ok(drawn) = batches.recv() else { return Ok(None) };
                let batch = self.store.batch(drawn?)?;
                let mut outcome = (self.objective)(&model, &Spread::new(&model, devices), &batch, step);
                let gradients = GradientsParams::from_grads(outcome.loss.backward(), &model);
                outcome.values.push(("gradient_norm", norm(&model, &gradients)));
                sums.add(step, &outcome);
                model = optimizer.step((self.learning_rate)(step), model, gradients);

                let done = step + 1;
                let epoch_ends = done % per_epoch == 0 || done == self.steps;
                if epoch_ends {
                    let (values, clusters) = sums.take_means()?;
                    let (epoch, epochs) = (step / per_epoch + 1, self.steps.div_ceil(per_epoch));
                    let held_out = self.held_out.map(|report| report(&model)).transpose()?;
                    let mut look = |judge: &Judge<'_>| watch.look(&judge(&model)?, || weights_of(&model));
                    let held_out_objective = self.judge.map(&mut look).transpose()?;
                    let told = Epoch {
                        stage: self.name,
                        epoch,
                        epochs,
                        step: done,
                        values,
                        clusters,
                        held_out,
                        held_out_objective,
                    };
                    if observer(Event::Epoch(&told)).is_break() {
                        return Ok(None);
                    }
                    if done == self.steps
                        && let Some((kept_epoch, gain, weights)) = std::mem::take(&mut watch).end()
                    {
                        model = read_weights(&weights, model)?;
                        let kept = Kept { stage: self.name, step: done, kept_epoch, epochs, gain };
                        if observer(Event::Kept(&kept)).is_break() {
                            return Ok(None);
                        }
                    }
                } else if done % CHECK_EVERY == 0 {
                    sums.totals()?;
                }
                let place = Place { step: done, ..place };
                let mut checkpoint = || {
                    let mut saved =
                        Checkpoint::new(place, data_sha256, &model, Some(&optimizer), sums.totals()?.clone())?;
                    (saved.starts, saved.watch) = (starts.to_vec(), watch.clone());
                    Ok(saved)
                };
                if observer(Event::Step { done, checkpoint: &mut checkpoint }).is_break() {
                    return Ok(None);
                }
            }
            Ok(Some(model))
        })
    }
}

/// Euclidean norm of all gradients `[1]`.
fn norm(model: &ClusterVae, gradients: &GradientsParams) -> Tensor<1> {
    struct Flat<'a> {
        gradients: &'a GradientsParams,
        parts: Vec<Tensor<1>>,
    }
    impl ModuleVisitor for Flat<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.parts.extend(self.gradients.get::<D>(param.id).map(|gradient| gradient.flatten(0, D - 1)));
        }
    }
    // Gradients live on the device without tracking.
    let device = model.prior.mu_c.val().inner().device();
    let mut flat = Flat { gradients, parts: Vec::new() };
    model.visit(&mut flat);
    let square = |gradient: Tensor<1>| gradient.square().sum();
    let total = if on_cpu(&device) {
        flat.parts.into_iter().map(square).fold(Tensor::zeros([1], &device), |sum, part| sum + part)
    } else {
        // One copy and one sum, rather than three kernels a parameter.
        square(Tensor::cat(flat.parts, 0))
    };
    total.sqrt()
}

/// How a stage, or all of them, ended.
pub enum Ended {
    /// A model came of it.
    Model(Box<ClusterVae>),
    /// Training should begin again from other weights, for this reason.
    Again(String),
    /// The observer broke off.
    Stopped,
}

impl From<Option<ClusterVae>> for Ended {
    fn from(model: Option<ClusterVae>) -> Self {
        model.map_or(Self::Stopped, |model| Self::Model(Box::new(model)))
    }
}
