//! How far the clusters are an accident of the frames: two more models, each fitted to half of them.
//!
//! A random view of a frame goes where the frame goes even where the model is wrong, since stage 3 asks just that of it. A
//! model of other frames does not: where it puts a frame elsewhere, no model should be sure. That two trainings disagree
//! as often as one of them errs is observed of classifiers (Y. Jiang et al., Assessing Generalization of SGD via
//! Disagreement, 2022). Each model tells of the frames that it was not fitted to.

use std::ops::ControlFlow;

use serde::Serialize;

use super::attempts::Attempts;
use super::calibrate::{log_responsibilities, temperature};
use super::check_count;
use super::event::{Event, Observer};
use super::split::halves;
use super::training_data::TrainingData;
use crate::config::CheckedConfig;
use crate::data::{Part, Preparation, Source};
use crate::error::{Error, Result};
use crate::matching::one_to_one;
use crate::model::{ClusterVae, Likelihood};
use crate::ranking::argmax;
use crate::rng::{Purpose, stream};
use crate::stage::StageName;

/// Index of the random stream that draws the halves; those of the calibration are below.
const HALVES_STREAM: u64 = 2;

/// What models of halves of the frames say of a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Halves {
    /// Number of halves whose clusters did not collapse, 1 or 2.
    pub models: usize,
    /// Share of the frames that a model of a half, not fitted to them, puts where the model puts them, its clusters
    /// matched one to one.
    pub agree: f64,
    /// The temperature at which q(c|x) says best where those put a frame, at least 1.
    pub temperature: f64,
}

/// How a look at halves ended.
pub enum Witnessed {
    /// With what they say; None if they were not asked for, are too small, or both collapsed.
    Said(Option<Halves>),
    /// The observer broke off.
    Stopped,
}

/// Fits a model to each half of the training frames, and compares them with `model`.
pub fn run(
    config: &CheckedConfig,
    data: &TrainingData<'_>,
    likelihood: Likelihood,
    data_sha256: &str,
    model: &ClusterVae,
    observer: &mut Observer<'_>,
) -> Result<Witnessed> {
    let training = data.training();
    let (n, k) = (training.len(), model.prior.clusters());
    let halves_of = |half: usize| config.with_clusters(k).half(half);
    if n > config.confidence.halves || check_count(&halves_of(0), n / 2).is_err() {
        return Ok(Witnessed::Said(None));
    }
    let [left, right] = halves(training, &mut stream(config.seed, Purpose::Calibration, HALVES_STREAM));
    let log_q = [log_responsibilities(model, training)?, log_responsibilities(model, &data.held_out)?].concat();
    let clusters: Vec<usize> = log_q.chunks_exact(k).map(argmax).collect();

    // What each model of a half says of the frames of the other, and of those that none was fitted to.
    let (mut rows, mut told, mut agree, mut models) = (Vec::new(), Vec::new(), 0, 0);
    let devices: Vec<_> = data.devices.iter().map(|device| device.clone().inner()).collect();
    let raw = training.with(Preparation::default());
    for (half, (fitted, others)) in [(&left, &right), (&right, &left)].into_iter().enumerate() {
        let config = halves_of(half);
        let frames: Part<'_> = Part::of(&raw, fitted.iter().map(|&n| n as u32).collect(), Preparation::default());
        let mut part = TrainingData::new(&config, &frames, data.preparation, &devices, &mut of_half(half, observer))?;
        part.reports_bounds = false;
        let attempts = Attempts { config: &config, data: &part, likelihood, data_sha256 };
        let witness = match attempts.run(None, &mut of_half(half, observer)) {
            Ok(Some(witness)) => witness,
            Ok(None) => return Ok(Witnessed::Stopped),
            Err(Error::Collapsed { .. }) => continue,
            Err(fault) => return Err(fault),
        };
        let of = |frames: &dyn Source| -> Result<Vec<usize>> {
            Ok(log_responsibilities(&witness, frames)?.chunks_exact(k).map(argmax).collect())
        };
        let seen = [of(training)?, of(&data.held_out)?].concat();
        let mut counts = vec![vec![0; k]; k];
        seen.iter().zip(&clusters).for_each(|(&of_half, &own)| counts[of_half][own] += 1);
        let of_witness = one_to_one(&counts).1;
        for frame in others.iter().copied().chain(n..seen.len()) {
            let Some(cluster) = of_witness[seen[frame]] else { continue };
            rows.extend_from_slice(&log_q[frame * k..(frame + 1) * k]);
            told.push(cluster);
            agree += usize::from(cluster == clusters[frame]);
        }
        models += 1;
    }
    let said = (models > 0).then(|| Halves {
        models,
        agree: agree as f64 / told.len() as f64,
        temperature: temperature(&rows, &told),
    });
    if let Some(halves) = &said
        && observer(Event::Witnessed(halves)).is_break()
    {
        return Ok(Witnessed::Stopped);
    }
    Ok(Witnessed::Said(said))
}

/// Tells `observer` of the steps of a half, and of nothing that would be taken for the model's own.
fn of_half<'a>(half: usize, observer: &'a mut Observer<'_>) -> impl FnMut(Event<'_>) -> ControlFlow<()> + 'a {
    let (mut stage, mut steps) = (StageName::Pretrain, 0);
    move |event| {
        let done = match event {
            Event::Stage { name, steps: of } => {
                (stage, steps) = (name, of);
                0
            }
            Event::Step { done, .. } => done,
            _ => return ControlFlow::Continue(()),
        };
        observer(Event::Half { half, stage, done, steps })
    }
}
