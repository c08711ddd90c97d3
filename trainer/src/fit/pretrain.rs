//! Stage 1: a VAE whose encoder sees a random view of the frame and whose decoder must give back the
//! untouched frame, so that the latent forgets what the views change. Two views of a frame pull together.

use burn::tensor::Tensor;

use super::event::Observer;
use super::metrics::StepOutcome;
use super::spread::Spread;
use super::stage::{Stage, StageStart};
use super::training_data::TrainingData;
use crate::config::CheckedConfig;
use crate::data::batches::{Batch, StageBatch};
use crate::elbo::standard;
use crate::error::Result;
use crate::model::ClusterVae;
use crate::rng::Purpose;
use crate::stage::StageName;

/// Number of views of a frame, whose latent means are pulled together.
const VIEWS: usize = 2;

/// Runs stage 1; None if the observer broke off.
pub fn run(
    config: &CheckedConfig,
    start: StageStart<'_>,
    data: &TrainingData,
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
    let stage = Stage {
        name: StageName::Pretrain,
        steps: size.steps,
        plan: data.plan(config, views_from, batch),
        store: &data.store,
        learning_rate: &|step| c.schedule.at(c.learning_rate, step, size.steps),
        objective: &|_, spread, batch, _| objective(config, spread, batch),
        held_out: None,
    };
    stage.run(start, &data.devices, observer)
}

/// The loss of one batch: -reconstruction + (KL(q(z|x) ‖ N(0,I)) · `kl_weight` + ‖difference of the means of two
/// views‖² · `pull`) · P, each a mean over the batch.
fn objective(config: &CheckedConfig, spread: &Spread<'_>, batch: &Batch) -> StepOutcome {
    let frames = batch.frames.clone();
    let [b, p] = frames.dims();
    let seen = batch.views.clone().unwrap_or_else(|| frames.clone());
    let views = seen.dims()[0] / b;
    let posterior = spread.encode(seen);
    let z = posterior.sample(batch.noise.clone());
    let targets = Tensor::cat(vec![frames; views], 0);
    let reconstruction = spread.log_likelihood(targets, z).mean();
    let kl = standard::kl_to_standard_normal(posterior.mu_z.clone(), posterior.log_var_z.clone()).mean();
    let first = posterior.mu_z.clone().narrow(0, 0, b);
    let second = posterior.mu_z.narrow(0, (views - 1) * b, b);
    let distance = (first - second).square().sum_dim(1).mean();
    let beside = kl.clone() * config.pretrain.kl_weight + distance.clone() * config.pretrain.pull;
    let loss = -reconstruction.clone() + beside * p as f64;
    StepOutcome {
        values: vec![
            ("reconstruction", reconstruction),
            ("latent_kl", kl),
            ("view_distance", distance),
            ("loss", loss.clone()),
        ],
        loss,
        shares: None,
    }
}
