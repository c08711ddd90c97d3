//! Stage 1: a VAE whose encoder sees a random view of the frame and whose decoder must give back the
//! untouched frame, so that the latent forgets what the views change. Two views of a frame pull together.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::event::Observer;
use super::metrics::StepOutcome;
use super::spread::Spread;
use super::stage::{Judge, Stage, StageStart};
use super::training_data::TrainingData;
use crate::config::CheckedConfig;
use crate::data::Source;
use crate::data::batches::{Batch, StageBatch};
use crate::elbo::{groups, standard};
use crate::error::Result;
use crate::fitted::to_host;
use crate::model::ClusterVae;
use crate::rng::Purpose;
use crate::stage::StageName;

/// Number of views of a frame, whose latent means are pulled together.
const VIEWS: usize = 2;

/// Runs stage 1; None if the observer broke off.
pub fn run(
    config: &CheckedConfig,
    start: StageStart<'_>,
    data: &TrainingData<'_>,
    observer: &mut Observer<'_>,
) -> Result<Option<ClusterVae>> {
    let c = &config.pretrain;
    let size = c.size(data.training().len(), config.least_clusters());
    let mut augment = config.augment.clone();
    if !c.deform {
        (augment.elastic, augment.thickness) = (0.0, 0.0);
    }
    let views_from = data.views(config, &augment, c.strength);
    // All views are the same frame if nothing changes it.
    let views = if views_from.are_frames() { 1 } else { VIEWS };
    let batch = StageBatch {
        frames: size.batch,
        views,
        noise_rows: views,
        clusters: None,
        purposes: (Purpose::PretrainOrder, Purpose::PretrainStep),
    };
    let judged = data.judged(config, views_from.clone(), batch)?;
    let inner = [data.devices[0].clone().inner()];
    let judge = judged.map(|judged| move |model: &ClusterVae| objective_of_each(config, model, &judged, &inner));
    let stage = Stage {
        name: StageName::Pretrain,
        steps: size.steps,
        plan: data.plan(config, views_from, batch),
        store: &data.store,
        learning_rate: &|step| c.schedule.at(c.learning_rate, step, size.steps),
        objective: &|_, spread, batch, _| objective(config, spread, batch),
        held_out: None,
        judge: judge.as_ref().map(|judge| judge as &Judge<'_>),
    };
    stage.run(start, &data.devices, observer)
}

/// What a batch of B frames in V views gives.
struct Pass {
    /// log p(x|z), z a sample of q(z|view), view after view `[V·B]`.
    reconstruction: Tensor<1>,
    /// KL(q(z|view) ‖ N(0,I)), view after view `[V·B]`.
    kl: Tensor<1>,
    /// Squared distance of the latent means of the first and the last view `[B,1]`.
    distance: Tensor<2>,
    /// Latent means of the first view `[B,D]`.
    first: Tensor<2>,
}

fn pass(spread: &Spread<'_>, batch: &Batch) -> Pass {
    let frames = batch.frames.clone();
    let b = frames.dims()[0];
    let seen = batch.views.clone().unwrap_or_else(|| frames.clone());
    let views = seen.dims()[0] / b;
    let posterior = spread.encode(seen);
    let z = posterior.sample(batch.noise.clone());
    let targets = Tensor::cat(vec![frames; views], 0);
    let reconstruction = spread.log_likelihood(targets, z);
    let kl = standard::kl_to_standard_normal(posterior.mu_z.clone(), posterior.log_var_z.clone());
    let first = posterior.mu_z.clone().narrow(0, 0, b);
    let second = posterior.mu_z.narrow(0, (views - 1) * b, b);
    Pass { reconstruction, kl, distance: (first.clone() - second).square().sum_dim(1), first }
}

/// What the stage maximises, minus its loss, of each frame of a batch on a device without tracking `[B]`.
fn objective_of_each(
    config: &CheckedConfig,
    model: &ClusterVae,
    batch: &Batch,
    device: &[Device; 1],
) -> Result<Vec<f64>> {
    let [b, p] = batch.frames.dims();
    let model = model.valid();
    let Pass { reconstruction, kl, distance, first: _ } = pass(&Spread::new(&model, device), batch);
    let per_frame = |of_views: Tensor<1>| {
        let views = of_views.dims()[0] / b;
        of_views.reshape([views, b]).mean_dim(0).reshape([b])
    };
    let beside = per_frame(kl) * config.pretrain.kl_weight + distance.reshape([b]) * config.pretrain.pull;
    Ok(to_host(per_frame(reconstruction) - beside * p as f64)?.into_iter().map(f64::from).collect())
}

/// The loss of one batch: -reconstruction + (KL(q(z|x) ‖ N(0,I)) · `kl_weight` + ‖difference of the means of two
/// views‖² · `pull`) · P, each a mean over the batch.
fn objective(config: &CheckedConfig, spread: &Spread<'_>, batch: &Batch) -> StepOutcome {
    let p = batch.frames.dims()[1];
    let Pass { reconstruction, kl, distance, first } = pass(spread, batch);
    let (reconstruction, kl, distance) = (reconstruction.mean(), kl.mean(), distance.mean());
    let beside = kl.clone() * config.pretrain.kl_weight + distance.clone() * config.pretrain.pull;
    let mut loss = -reconstruction.clone() + beside * p as f64;
    let mut of_groups = None;
    if let Some(groups) = batch.groups.clone().filter(|_| config.pretrain.groups > 0.0) {
        let between = groups::variance_between(first, groups);
        loss = loss + between.clone() * (config.pretrain.groups * p as f64);
        of_groups = Some(("between_groups", between));
    }
    let beside = [("reconstruction", reconstruction), ("latent_kl", kl), ("view_distance", distance)];
    let values = beside.into_iter().chain(of_groups).chain([("loss", loss.clone())]).collect();
    StepOutcome { values, loss, shares: None }
}
