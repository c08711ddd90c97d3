//! Loads a fitted model from a run directory.

use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use runtime::Calibration;

use super::{AFTER_MIXTURE, Saved};
use crate::config::{Config, EncoderKind, Weights};
use crate::data::FrontEnd;
use crate::error::{Error, Result};
use crate::files::sha256;
use crate::fit::Checkpoint;
use crate::fitted::{Fitted, NoveltyScore};
use crate::model::{ClusterVae, Init};
use crate::stage::StageName;

/// Loads the model of a run directory.
///
/// # Errors
/// [`Error::Model`] if a file is missing, damaged, or of another version.
pub fn load(folder: &Path, device: &Device) -> Result<Fitted> {
    let read = |name: &str| {
        let path = folder.join(name);
        std::fs::read(&path)
            .map_err(|e| Error::model(&path, format!("{e}; is this a run of `trainer fit` that has ended?")))
    };
    let description = folder.join("model.json");
    let saved = Saved::read(&description, &read("model.json")?)?;
    let path = folder.join("weights.bpk");
    if sha256(&read("weights.bpk")?) != saved.weights_sha256 {
        return Err(Error::model(&path, "damaged: its sha256 is not the one in model.json"));
    }
    if saved.front_end.as_ref().is_some_and(|front_end| !front_end.fits(saved.shape)) {
        return Err(Error::model(&description, "its front end does not fit its frames"));
    }
    let inner = saved.front_end.as_ref().map_or(saved.shape, |front_end| front_end.shape(saved.shape));
    let config =
        Config::default().merge_file(&folder.join("config.toml"))?.check(saved.shape)?.with_clusters(saved.clusters);
    let config = if saved.identity { config.with_identity(inner.len()) } else { config };
    let config = config.with_weights(if saved.weighted { Weights::Learned } else { Weights::Uniform });
    if saved.seen.as_ref().is_some_and(|seen| seen.range(saved.shape).is_none()) {
        return Err(Error::model(&description, "its range of values does not fit its frames"));
    }
    // Random weights of the right shapes, all replaced by the file's.
    let mut init = Init { rng: ChaCha8Rng::seed_from_u64(0), device };
    let sound = saved.front_end.as_ref().is_some_and(FrontEnd::is_sound);
    let of_networks = if sound { config.of_sound() } else { config.clone() };
    let model = ClusterVae::new(&of_networks, inner, saved.likelihood, &mut init);
    let model = model.try_load_file(&path).map_err(|e| Error::model(&path, e))?;
    let (novelty_threshold, dispersion_weight) = match saved.decoder_novelty {
        Some(with) => (with.novelty_threshold, with.dispersion_weight),
        None => (saved.novelty_threshold, 0.0),
    };
    Ok(Fitted {
        config,
        model,
        shape: saved.shape,
        front_end: saved.front_end,
        scaling: saved.scaling,
        seen: saved.seen,
        likelihood: saved.likelihood,
        calibration: Calibration { novelty_threshold, temperature: saved.temperature },
        novelty: NoveltyScore { dispersion_weight, latent_threshold: saved.novelty_threshold },
        calibrated_on: saved.calibrated_on,
        data_sha256: saved.data_sha256,
        columns: saved.columns,
        manner: saved.manner,
    })
}

/// The model of a run directory as it was after a stage; the novelty threshold is that of the finished model.
///
/// After `pretrain` it is that of the start that was chosen, with the prior that the mixture then started.
///
/// # Errors
/// [`Error::Model`] as for [`load`], or if what it was after stage 2 was not kept or is damaged, or the run has no stages.
pub fn load_stage(folder: &Path, stage: StageName, device: &Device) -> Result<Fitted> {
    let fitted = load(folder, device)?;
    if fitted.config.encoder.kind == EncoderKind::Identity {
        return Err(Error::model(
            folder,
            "its model is the mixture on the values, which has no stages; leave the stage out",
        ));
    }
    if stage == StageName::Refine {
        return Ok(fitted);
    }
    let path = folder.join(AFTER_MIXTURE);
    if !path.exists() {
        return Err(Error::model(folder, "it kept its last stage only; fit with --keep-stages for those before"));
    }
    // It has the encoder of stage 1.
    let bytes = std::fs::read(&path).map_err(|e| Error::model(&path, e))?;
    let checkpoint = Checkpoint::decode(&bytes).map_err(|e| Error::model(&path, e))?;
    let config = fitted.config.with_clusters(checkpoint.clusters);
    let mut init = Init { rng: ChaCha8Rng::seed_from_u64(0), device };
    let fitted = Fitted { config, ..fitted };
    let (config, shape) = (fitted.inner_config(), fitted.inner_shape());
    let model = checkpoint.model(ClusterVae::new(&config, shape, fitted.likelihood, &mut init))?;
    Ok(Fitted { model, ..fitted })
}
