//! The loop that the two gradient stages share.

use std::ops::ControlFlow;

use burn::module::Module;
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, Tensor, TensorData};

use super::metrics::{Epoch, Sums};
use super::{Event, Observer};
use crate::data::Frames;
use crate::data::batches::{Batch, BatchPlan};
use crate::error::{Error, Result};
use crate::model::{ClusterVae, Posterior};

/// Steps between two looks at whether the loss is still finite.
const CHECK_EVERY: usize = 50;
/// Frames encoded at once.
const ENCODE_BATCH: usize = 1000;

/// One step's objective and what is worth reporting of it.
pub struct Outcome {
    /// To be minimised `[1]`.
    pub loss: Tensor<1>,
    /// Named values `[1]`, averaged over the epoch.
    pub values: Vec<(&'static str, Tensor<1>)>,
    /// Mean cluster distribution of the batch `[K]`.
    pub shares: Option<Tensor<1>>,
}

/// What a stage is made of.
pub struct Stage<'a> {
    /// Its name, which is also its table in the configuration.
    pub name: &'static str,
    /// Steps.
    pub steps: usize,
    /// Batches.
    pub plan: BatchPlan<'a>,
    /// Learning rate of a step.
    pub learning_rate: &'a dyn Fn(usize) -> f64,
    /// The objective of a step.
    pub objective: &'a dyn Fn(&ClusterVae, &Batch, usize, &Device) -> Outcome,
}

impl Stage<'_> {
    /// Runs the stage; None if the observer broke off.
    pub fn run(
        &self,
        mut model: ClusterVae,
        device: &Device,
        observer: &mut Observer<'_>,
    ) -> Result<Option<ClusterVae>> {
        if observer(Event::Stage { name: self.name, steps: self.steps }).is_break() {
            return Ok(None);
        }
        let mut optimizer = AdamConfig::new().init();
        let per_epoch = self.plan.steps_per_epoch();
        let mut sums = Sums::default();
        std::thread::scope(|scope| {
            let (batches, _worker) = self.plan.spawn(scope, 0..self.steps);
            for step in 0..self.steps {
                // The worker only stops early if it panicked, which the scope passes on.
                let Ok(batch) = batches.recv() else { return Ok(None) };
                let outcome = (self.objective)(&model, &batch, step, device);
                sums.add(&outcome);
                let gradients = GradientsParams::from_grads(outcome.loss.backward(), &model);
                model = optimizer.step((self.learning_rate)(step), model, gradients);

                let epoch_ends = (step + 1) % per_epoch == 0 || step + 1 == self.steps;
                if epoch_ends || (step + 1) % CHECK_EVERY == 0 {
                    sums.check(self.name, step)?;
                }
                let mut flow = observer(Event::Step { done: step + 1 });
                if epoch_ends {
                    let epoch = Epoch {
                        stage: self.name,
                        epoch: step / per_epoch + 1,
                        epochs: self.steps.div_ceil(per_epoch),
                        step: step + 1,
                        values: std::mem::take(&mut sums).means()?,
                    };
                    if observer(Event::Epoch(&epoch)).is_break() {
                        flow = ControlFlow::Break(());
                    }
                }
                if flow.is_break() {
                    return Ok(None);
                }
            }
            Ok(Some(model))
        })
    }
}

/// A tensor `[rows, columns]` of row-major values.
pub fn to_tensor(values: &[f32], columns: usize, device: &Device) -> Tensor<2> {
    let rows = values.len() / columns;
    Tensor::from_data(TensorData::new(values.to_vec(), [rows, columns]), device)
}

/// Encodes frames that are already scaled, a thousand at a time, and hands each part to `visit`
/// with the index of its first frame.
pub fn encode(
    model: &ClusterVae,
    frames: &Frames,
    device: &Device,
    mut visit: impl FnMut(usize, Tensor<2>, Posterior) -> Result<()>,
) -> Result<()> {
    let p = frames.shape.len();
    for (part, values) in frames.values.chunks(ENCODE_BATCH * p).enumerate() {
        let x = to_tensor(values, p, device);
        let posterior = model.encoder.forward(x.clone());
        visit(part * ENCODE_BATCH, x, posterior)?;
    }
    Ok(())
}

/// Values of a tensor on the host.
pub fn to_host<const R: usize>(tensor: Tensor<R>) -> Result<Vec<f32>> {
    tensor.try_into_vec_as::<f32>().map_err(|e| Error::resource("device", format!("{e:?}")))
}

/// Cosine from `start` at step 0 to 0 after the last.
pub fn cosine(start: f64, step: usize, steps: usize) -> f64 {
    start * 0.5 * (1.0 + (std::f64::consts::PI * step as f64 / steps as f64).cos())
}

/// m `[N,D]` and Σ_d v_d `[N]` of all frames, in f64 as EM wants them.
pub fn latents(model: &ClusterVae, frames: &Frames, device: &Device) -> Result<(Vec<f64>, Vec<f64>)> {
    let (mut means, mut total_variances) = (Vec::new(), Vec::new());
    let model = model.valid();
    encode(&model, frames, &device.clone().inner(), |_, _, posterior| {
        means.extend(to_host(posterior.mu_z)?.into_iter().map(f64::from));
        total_variances.extend(to_host(posterior.log_var_z.exp().sum_dim(1))?.into_iter().map(f64::from));
        Ok(())
    })?;
    Ok((means, total_variances))
}
