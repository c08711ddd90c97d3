//! Stage 1: a VAE whose encoder sees a random view of the frame and whose decoder must give back the
//! untouched frame, so that the latent forgets what the views change. Two views of a frame pull together.

use burn::tensor::{Device, Tensor};

use super::Observer;
use super::checkpoint::StageName;
use super::stage::{Outcome, Stage, Start, to_tensor};
use crate::config::Checked;
use crate::data::Frames;
use crate::data::augment::Augmentation;
use crate::data::batches::{Batch, BatchPlan};
use crate::elbo::standard;
use crate::error::Result;
use crate::model::ClusterVae;
use crate::rng::Purpose;

const VIEWS: usize = 2;

/// Runs the stage; None if the observer broke off.
pub fn run(
    config: &Checked,
    start: Start<'_>,
    frames: &Frames,
    observer: &mut Observer<'_>,
) -> Result<Option<ClusterVae>> {
    let c = &config.pretrain;
    let device = start.model.prior.mu_c.val().device();
    let stage = Stage {
        name: StageName::Pretrain,
        steps: c.steps,
        plan: BatchPlan {
            frames,
            augmentation: Augmentation::new(&config.augment, frames.shape, c.strength),
            batch: c.batch,
            views: VIEWS,
            noise_rows: VIEWS,
            latent: config.latent,
            clusters: 0,
            seed: config.seed,
            purposes: (Purpose::PretrainOrder, Purpose::PretrainStep),
        },
        learning_rate: &|step| c.schedule.at(c.learning_rate, step, c.steps),
        objective: &|model, batch, _, device| objective(config, model, batch, device),
    };
    stage.run(start, &device, observer)
}

fn objective(config: &Checked, model: &ClusterVae, batch: &Batch, device: &Device) -> Outcome {
    let p = batch.frames.len() / config.pretrain.batch;
    let b = config.pretrain.batch;
    let frames = to_tensor(&batch.frames, p, device);
    let posterior = model.encoder.forward(to_tensor(&batch.views, p, device));
    let z = posterior.sample(to_tensor(&batch.noise, config.latent, device));
    let targets = Tensor::cat(vec![frames; VIEWS], 0);
    let reconstruction = model.decoder.log_likelihood(targets, z).mean();
    let kl = standard::kl_to_standard_normal(posterior.mu_z.clone(), posterior.log_var_z.clone()).mean();
    let first = posterior.mu_z.clone().narrow(0, 0, b);
    let second = posterior.mu_z.narrow(0, b, b);
    let distance = (first - second).square().sum_dim(1).mean();
    let loss =
        -reconstruction.clone() + kl.clone() * config.pretrain.kl_weight + distance.clone() * config.pretrain.pull;
    Outcome {
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
