//! The speed of a stage of training, frames a second.

use std::ops::ControlFlow;
use std::time::Instant;

use burn::tensor::Device;

use super::checkpoint::Place;
use super::event::{Event, Observer};
use super::prepare;
use super::stage::StageStart;
use super::training_data::TrainingData;
use super::{pretrain, refine};
use crate::config::CheckedConfig;
use crate::data::Source;
use crate::error::{Error, Result};
use crate::model::{ClusterVae, Init};
use crate::rng::{Purpose, stream};
use crate::stage::StageName;

/// Trains a stage and gives the frames a second of each of `rounds` rounds of `steps` steps, after one that warms up.
///
/// A step is all that training does: batches, views, both passes, optimiser, and the sums that are reported. The
/// bounds of held-out frames after an epoch are left out, and stage 3 begins from random weights.
///
/// # Errors
/// The same as those of [`fit`](super::fit()); [`Error::Config`] for the mixture, which has no steps.
pub fn throughput(
    config: &CheckedConfig,
    frames: &(dyn Source + Sync),
    device: &Device,
    stage: StageName,
    rounds: usize,
    steps: usize,
) -> Result<Vec<f64>> {
    let mut config = (**config).clone();
    (config.pretrain.steps, config.refine.steps) = ((steps * (rounds + 1)).into(), (steps * (rounds + 1)).into());
    let config = config.check(frames.shape())?;
    let goes_on: &mut Observer<'_> = &mut |_| ControlFlow::Continue(());
    // Nobody breaks off.
    let Some(prepared) = prepare::run(&config, frames, goes_on)? else { return Ok(Vec::new()) };
    let devices = std::slice::from_ref(device);
    let data = TrainingData {
        reports_bounds: false,
        judges: false,
        ..TrainingData::new(&config, frames, prepared.preparation(), devices, goes_on)?
    };
    let mut init = Init { rng: stream(config.seed, Purpose::Weights, 0), device: &data.devices[0] };
    let model = ClusterVae::new(&config, data.training().shape(), prepared.likelihood, &mut init);

    let mut ends = Vec::new();
    let mut fault = None;
    let mut observer = |event: Event<'_>| {
        if let Event::Step { done, .. } = event
            && done % steps == 0
        {
            // A GPU may be behind.
            if let Err(error) = device.sync() {
                fault = Some(Error::resource("device", format!("{error:?}")));
                return ControlFlow::Break(());
            }
            ends.push(Instant::now());
        }
        ControlFlow::Continue(())
    };
    let place = Place { attempt: 0, start: 0, stage, step: 0 };
    let start = StageStart { model, place, starts: &[], data_sha256: "", unfinished: None };
    let (n, k) = (data.training().len(), config.clusters());
    let batch = match stage {
        StageName::Pretrain => {
            pretrain::run(&config, start, &data, &mut observer).map(|_| config.pretrain.size(n, k).batch)?
        }
        StageName::Refine => {
            refine::run(&config, start, &data, &mut observer).map(|_| config.refine.size(n, k).batch)?
        }
        StageName::Mixture => return Err(Error::config("stage", "the mixture has no steps; pretrain or refine")),
    };
    if let Some(fault) = fault {
        return Err(fault);
    }
    let seconds = ends.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64());
    Ok(seconds.map(|seconds| (steps * batch) as f64 / seconds).collect())
}
