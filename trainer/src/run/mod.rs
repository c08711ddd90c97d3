//! The run directory of a training: what it holds, and how a run begins, goes on and ends.
//!
//! | file | content |
//! |---|---|
//! | `config.toml` | every setting, defaults written out |
//! | `data.json` | where the frames were read from, an absolute path, and their hash; to go on from |
//! | `metrics.jsonl` | one line an epoch, one for EM, one for a restart, one where an earlier epoch was kept |
//! | `metrics.json` | the end of training: the epoch whose weights were kept, as `last_epoch`; the same bytes for the same seed on the same CPU |
//! | `checkpoints/` | the last state, to go on from, with the weights of the best epoch so far; gone once the run has ended |
//! | `mixture.ckpt` | the model as stage 2 left it, for `trainer latents --stage`; only with `fit --keep-stages` |
//! | `weights.bpk` | all learned weights, Burn's own format |
//! | `model.json` | shape, front end, scaling, range of values, likelihood, novelty and its threshold, temperature, hash of the weights |
//! | `report.html` | the page of `trainer report` and of `trainer demo` |
//! | `run.lock` | the process that writes to the run; only as long as one does |
//! | `critic.bpk`, `critic.json` | the amortised critic of `trainer critic`; whose it is, and its hash |

mod calibration;
mod critic;
mod load;
mod lock;
mod source;

pub use calibration::save_calibration;
pub use critic::{load_critic, save_critic};
pub use load::{load, load_stage};
pub use source::Source;

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::module::Module;
use serde::{Deserialize, Serialize};

use crate::config::{CheckedConfig, Config, EncoderKind};
use crate::data::scaling::Scaling;
use crate::data::{FrontEnd, Manner, SeenValues};
use crate::error::{Error, Result};
use crate::files::{UNFINISHED, Unfinished, sha256, write_atomically};
use crate::fit::{Checkpoint, Place, Space};
use crate::fitted::Fitted;
use crate::frame::FrameShape;
use crate::model::Likelihood;
use crate::stage::StageName;
use lock::Lock;

/// 4: weights of the objective are for every value of a frame.
const VERSION: u32 = 4;

/// The content of `model.json`.
#[derive(Serialize, Deserialize)]
struct Saved {
    version: u32,
    shape: FrameShape,
    clusters: usize,
    /// Whether the encoder is a linear map and no network.
    identity: bool,
    /// Whether p(c) is learned, which the mixture on the values decides for itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    weighted: bool,
    /// What makes features of windows; absent where the networks see samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    front_end: Option<FrontEnd>,
    scaling: Option<Scaling>,
    /// The values that it was fitted to; absent in runs of before 2026-11-27.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seen: Option<SeenValues>,
    likelihood: Likelihood,
    /// Threshold of the novelty of the latent alone.
    novelty_threshold: f32,
    /// How novelty counts the decoder; absent in runs of a linear encoder, and in those of before 2026-11-26.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    decoder_novelty: Option<DecoderNovelty>,
    temperature: f32,
    /// Number of frames that the threshold is from.
    calibrated_on: usize,
    data_sha256: String,
    /// Names of the features in the order of the model; absent where the data had none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    columns: Option<Vec<String>>,
    /// How the frames were read; absent in runs of before that was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    manner: Option<Manner>,
    weights_sha256: String,
}

/// The part of `model.json` that is the same in all versions.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

impl Saved {
    /// The description of a model in its run directory.
    fn read(path: &Path, text: &[u8]) -> Result<Self> {
        let Versioned { version } = serde_json::from_slice(text).map_err(|e| Error::model(path, e))?;
        let mend = match version.cmp(&VERSION) {
            std::cmp::Ordering::Less => {
                "an older trainer's: fit again with this one, or use it with the one that fitted it"
            }
            std::cmp::Ordering::Equal => return serde_json::from_slice(text).map_err(|e| Error::model(path, e)),
            std::cmp::Ordering::Greater => "a newer trainer's: update this one",
        };
        Err(Error::model(path, format!("version {version}, expected {VERSION}: it is {mend}")))
    }
}

/// Novelty with the decoder.
#[derive(Serialize, Deserialize)]
struct DecoderNovelty {
    /// Nats that it counts for a dispersion of 1, above 0.
    dispersion_weight: f32,
    /// Its threshold, nats.
    novelty_threshold: f32,
}

impl DecoderNovelty {
    /// That of a model; None if its novelty is that of the latent alone.
    fn of(fitted: &Fitted) -> Option<Self> {
        let dispersion_weight = fitted.novelty.dispersion_weight;
        let novelty_threshold = fitted.calibration.novelty_threshold;
        (dispersion_weight > 0.0).then_some(Self { dispersion_weight, novelty_threshold })
    }
}

/// The place in training that a line of `metrics.jsonl` is about; one about the mixture has no step.
#[derive(Deserialize)]
struct Line {
    stage: Option<StageName>,
    #[serde(default)]
    step: usize,
    restarts: Option<usize>,
    /// What the clusters were counted of.
    counted_on: Option<Space>,
    /// What models of halves of the frames said, after all stages.
    halves: Option<serde::de::IgnoredAny>,
}

const CHECKPOINTS: &str = "checkpoints";

/// The model as stage 2 left it.
const AFTER_MIXTURE: &str = "mixture.ckpt";

/// The file of a stage's checkpoint.
fn checkpoint_path(folder: &Path, stage: StageName) -> PathBuf {
    folder.join(CHECKPOINTS).join(format!("{stage}.ckpt"))
}

/// The directory of one training, with everything about it.
#[derive(Clone, Debug)]
pub struct Run {
    folder: PathBuf,
    lock: Arc<Lock>,
}

impl Run {
    /// Starts a run in `folder`, which may exist but must not hold a run.
    ///
    /// # Errors
    /// [`Error::Resource`] if it holds one, another program is beginning one there, or it cannot be written.
    pub fn create(folder: &Path, config: &CheckedConfig, source: &Source) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(|e| Error::resource(folder.display(), e))?;
        let lock = Arc::new(Lock::take(folder)?);
        if folder.join("config.toml").exists() {
            return Err(Error::resource(folder.display(), "holds a run already; choose another --out or remove it"));
        }
        source.save(folder)?;
        // Last: it is what says that there is a run.
        write_atomically(&folder.join("config.toml"), config.to_toml()?.as_bytes())?;
        Ok(Self { folder: folder.to_owned(), lock })
    }

    /// Opens a run that was interrupted; gives the settings, and the last checkpoint if there is one.
    ///
    /// Lines of `metrics.jsonl` about later steps are dropped, since those steps will be done again.
    ///
    /// # Errors
    /// [`Error::Model`] if it is no run, has ended, or its checkpoint is damaged; [`Error::Resource`] if another program
    /// writes to it.
    pub fn resume(folder: &Path) -> Result<(Self, Config, Option<Checkpoint>)> {
        let path = folder.join("config.toml");
        if !path.exists() {
            return Err(Error::model(folder, "no config.toml in it; is this a run directory of `trainer fit`?"));
        }
        let run = Self { folder: folder.to_owned(), lock: Arc::new(Lock::take(folder)?) };
        if folder.join("model.json").exists() {
            // A kill may have been faster.
            run.remove_checkpoints()?;
            return Err(Error::model(folder, "this run has ended; there is nothing to resume"));
        }
        let config = Config::default().merge_file(&path)?;
        let mut last: Option<Checkpoint> = None;
        for stage in StageName::ALL {
            let path = checkpoint_path(folder, stage);
            if !path.exists() {
                continue;
            }
            let bytes = std::fs::read(&path).map_err(|e| Error::model(&path, e))?;
            let checkpoint = Checkpoint::decode(&bytes).map_err(|e| Error::model(&path, e))?;
            if last.as_ref().is_none_or(|last| last.place < checkpoint.place) {
                last = Some(checkpoint);
            }
        }
        run.remove_unfinished()?;
        run.forget_after(last.as_ref().map(|checkpoint| checkpoint.place))?;
        Ok((run, config, last))
    }

    /// Removes what a kill or a power cut left of files that were being written.
    fn remove_unfinished(&self) -> Result<()> {
        for folder in [self.folder.clone(), self.folder.join(CHECKPOINTS)].into_iter().filter(|folder| folder.exists())
        {
            let fault = |e: std::io::Error| Error::resource(folder.display(), e);
            for entry in std::fs::read_dir(&folder).map_err(fault)? {
                let entry = entry.map_err(fault)?;
                if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
                    std::fs::remove_file(entry.path()).map_err(fault)?;
                }
            }
        }
        Ok(())
    }

    /// Keeps the lines of `metrics.jsonl` up to `place`, none without one.
    fn forget_after(&self, place: Option<Place>) -> Result<()> {
        let path = self.folder.join("metrics.jsonl");
        if !path.exists() {
            return Ok(());
        }
        let text = std::fs::read_to_string(&path).map_err(|e| Error::model(&path, e))?;
        let (mut attempt, mut start) = (0, 0);
        let mut kept = String::new();
        for line in text.lines() {
            // A line that was cut off while it was written says nothing.
            let Ok(said) = serde_json::from_str::<Line>(line) else { continue };
            // What follows the last step is done again.
            if said.halves.is_some() {
                continue;
            }
            if let Some(restarts) = said.restarts {
                (attempt, start) = (restarts, 0);
            }
            let stage = match said.counted_on {
                // Stage 2 counts latents, and rows are counted before any stage.
                Some(Space::Latents) => StageName::Mixture,
                Some(Space::Values | Space::Colours) | None => said.stage.unwrap_or(StageName::Pretrain),
            };
            let of = Place { attempt, start, stage, step: said.step };
            // A mixture ends a start.
            start += usize::from(said.stage == Some(StageName::Mixture));
            if place.is_some_and(|place| of <= place) {
                kept.push_str(line);
                kept.push('\n');
            }
        }
        write_atomically(&path, kept.as_bytes())
    }

    /// Writes a checkpoint, then removes those of other stages, which are older; gives the path of the file.
    ///
    /// # Errors
    /// [`Error::Resource`]; the last checkpoint is then as it was.
    pub fn checkpoint(&self, checkpoint: &Checkpoint) -> Result<PathBuf> {
        let path = checkpoint_path(&self.folder, checkpoint.place.stage);
        self.write_checkpoint(checkpoint, &path)?;
        for stage in StageName::ALL.into_iter().filter(|stage| *stage != checkpoint.place.stage) {
            remove(&checkpoint_path(&self.folder, stage), |path| std::fs::remove_file(path))?;
        }
        Ok(path)
    }

    /// Keeps the model as stage 2 left it, also when the run has ended.
    ///
    /// # Errors
    /// [`Error::Resource`].
    pub fn keep_mixture(&self, checkpoint: &Checkpoint) -> Result<()> {
        self.write_checkpoint(checkpoint, &self.folder.join(AFTER_MIXTURE))
    }

    fn write_checkpoint(&self, checkpoint: &Checkpoint, path: &Path) -> Result<()> {
        let folder = path.parent().unwrap_or(&self.folder);
        std::fs::create_dir_all(folder).map_err(|e| Error::resource(folder.display(), e))?;
        let mut file = Unfinished::create(path)?;
        checkpoint.write(&mut file).map_err(|e| Error::resource(path.display(), e))?;
        file.finish()
    }

    /// Removes all that a run that has ended does not go on from.
    fn remove_checkpoints(&self) -> Result<()> {
        remove(&self.folder.join(CHECKPOINTS), |path| std::fs::remove_dir_all(path))
    }

    /// The directory.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Appends `line` to `metrics.jsonl` as JSON.
    pub fn log(&self, line: &impl Serialize) -> Result<()> {
        let path = self.folder.join("metrics.jsonl");
        let fault = |e: &dyn std::fmt::Display| Error::resource(path.display(), e);
        let text = serde_json::to_string(line).map_err(|e| fault(&e))?;
        let mut file = OpenOptions::new().create(true).append(true).open(&path).map_err(|e| fault(&e))?;
        writeln!(file, "{text}").map_err(|e| fault(&e))
    }

    /// The lines of `metrics.jsonl`, none if there is no such file.
    pub fn lines(&self) -> Result<Vec<serde_json::Value>> {
        let path = self.folder.join("metrics.jsonl");
        if !path.exists() {
            return Ok(Vec::new());
        }
        let text = std::fs::read_to_string(&path).map_err(|e| Error::model(&path, e))?;
        text.lines().map(|line| serde_json::from_str(line).map_err(|e| Error::model(&path, e))).collect()
    }

    /// Writes `summary` as `metrics.json`.
    pub fn summary(&self, summary: &impl Serialize) -> Result<()> {
        let path = self.folder.join("metrics.json");
        let text = serde_json::to_string_pretty(summary).map_err(|e| Error::resource(path.display(), e))?;
        write_atomically(&path, text.as_bytes())
    }

    /// Saves a fitted model, the weights first: `model.json` says that the run has ended. Its checkpoints then go, and other
    /// programs may write to it.
    pub fn save(&self, fitted: &Fitted) -> Result<()> {
        let path = self.folder.join("weights.bpk");
        let record = fitted.model.clone().into_record();
        let bytes = record.into_bytes().map_err(|e| Error::resource(path.display(), e))?;
        write_atomically(&path, &bytes)?;
        let saved = Saved {
            version: VERSION,
            shape: fitted.shape,
            clusters: fitted.model.prior.clusters(),
            identity: fitted.config.encoder.kind == EncoderKind::Identity,
            weighted: fitted.model.prior.log_weights.is_some(),
            front_end: fitted.front_end.clone(),
            scaling: fitted.scaling.clone(),
            seen: fitted.seen.clone(),
            likelihood: fitted.likelihood,
            novelty_threshold: fitted.novelty.latent_threshold,
            decoder_novelty: DecoderNovelty::of(fitted),
            temperature: fitted.calibration.temperature,
            calibrated_on: fitted.calibrated_on,
            data_sha256: fitted.data_sha256.clone(),
            columns: fitted.columns.clone(),
            manner: fitted.manner.clone(),
            weights_sha256: sha256(&bytes),
        };
        let text = serde_json::to_string_pretty(&saved).map_err(|e| Error::resource("model.json", e))?;
        write_atomically(&self.folder.join("model.json"), text.as_bytes())?;
        self.remove_checkpoints()?;
        self.lock.release();
        Ok(())
    }
}

/// Removes what there may be at a path.
fn remove(path: &Path, how: impl Fn(&Path) -> std::io::Result<()>) -> Result<()> {
    match how(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::resource(path.display(), e)),
        _ => Ok(()),
    }
}

/// The content of `metrics.json` in a run directory; None if there is no such file.
///
/// # Errors
/// [`Error::Model`] if the file cannot be read.
pub fn metrics(folder: &Path) -> Result<Option<serde_json::Value>> {
    let path = folder.join("metrics.json");
    match std::fs::read(&path) {
        Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|e| Error::model(&path, e)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::model(&path, e)),
    }
}
