//! `trainer fit`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use burn::tensor::Device;
use serde::Serialize;
use trainer::config::{CheckedConfig, Config, Preset};
use trainer::data::{DataSet, Expected, Input, Role};
use trainer::device::{self, Choice, Chosen};
use trainer::fit;
use trainer::fit::{Checkpoint, Health, Memory, Place};
use trainer::fitted::Fitted;
use trainer::run::{Run, Source};
use trainer::{Error, Result};

use super::progress::{Progress, shown};

/// Fit a model to unlabelled frames
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  trainer fit --data mnist/ --out runs/mnist --seed 1 --set refine.steps=3000")]
pub struct Args {
    #[command(flatten)]
    base: Base,
    #[command(flatten)]
    input: Input,
    /// Go on with an interrupted run, with its own settings and frames; --data says where those are now if they moved
    #[arg(long, value_name = "RUN", conflicts_with_all = ["preset", "config", "out", "seed", "settings"])]
    resume: Option<PathBuf>,
    #[command(flatten)]
    training: Training,
}

/// Settings that `--set` then changes, for `fit` and `benchmark`.
#[derive(clap::Args, Debug)]
pub struct Base {
    /// Settings to begin with [default: demo for the embedded digits, else default]
    #[arg(long, value_enum)]
    pub preset: Option<Preset>,
    /// TOML file of settings; what it leaves out keeps its default
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl Base {
    /// The preset, or else the one for these data, with what the file changes.
    pub fn config(&self, input: &Input) -> Result<Config> {
        let base = self.preset.unwrap_or(if input.is_embedded() { Preset::Demo } else { Preset::Default }).config();
        match &self.config {
            Some(file) => base.merge_file(file),
            None => Ok(base),
        }
    }
}

/// Options that `fit` and `demo` have in common.
#[derive(clap::Args, Debug)]
pub struct Training {
    /// Run directory to create [default: the next free one in runs/]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Where to train: auto, cpu, gpu, cuda, vulkan or wgpu; cuda:1 is the second GPU
    #[arg(long, value_name = "KIND[:N]", default_value_t)]
    device: Choice,
    /// Seed of every random number [default: 0]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Change a setting, keys dotted as in config.toml; may be given more than once
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// Devices to spread every batch over; the loss stays that of the whole batch
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=64))]
    devices: u64,
    /// End with exit code 6 if the health line has something bad to say; the run is kept
    #[arg(long)]
    strict: bool,
    /// Seconds between two checkpoints of a stage; its end always has one
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    checkpoint_every: u64,
    /// Keep the model as EM left it beside the fitted one, for `trainer latents --stage`
    #[arg(long)]
    keep_stages: bool,
}

impl Training {
    /// `base` with `--set` and then `--seed` applied; mistakes are told before data are read or a directory is made.
    pub fn configure(&self, base: Config) -> Result<Config> {
        let mut config = base.set(&self.settings)?;
        if let Some(seed) = self.seed {
            config.seed = seed;
        }
        config.check_ranges()?;
        Ok(config)
    }

    /// The devices asked for: the first with the name of them all, and every one.
    pub fn devices(&self) -> Result<(Chosen, Vec<Device>)> {
        let chosen = device::choose_many(self.device, self.devices as usize)?;
        if let Some(hint) = device::unused_gpu(self.device) {
            eprintln!("{hint}");
        }
        Ok(chosen)
    }

    /// Trains into `--out`, or else the next free `runs/{name}N`, with progress; `frames` come with where they are from.
    pub fn train(
        &self,
        config: &CheckedConfig,
        set: &DataSet,
        input: &Input,
        devices: &(Chosen, Vec<Device>),
        name: &str,
    ) -> Result<(Fitted, Run)> {
        // A run directory that holds no run would stand in the way of the corrected command.
        fit::check_frames(config, &set.frames)?;
        check_memory(config, set)?;
        for told in fit::squashed_columns(config, &set.frames)? {
            eprintln!("look at the frames: {told}");
        }
        let folder = match &self.out {
            Some(folder) => folder.clone(),
            None => next_free(Path::new("runs"), name)?,
        };
        let source = shown("hash", &set.frames, 1, |frames| Source::new(input, frames))?;
        let run = Run::create(&folder, config, &source)?;
        self.train_in(run, config, set, input, devices, None)
    }

    /// Trains in a run directory, with progress.
    fn train_in(
        &self,
        run: Run,
        config: &CheckedConfig,
        set: &DataSet,
        input: &Input,
        (device, devices): &(Chosen, Vec<Device>),
        resume: Option<Checkpoint>,
    ) -> Result<(Fitted, Run)> {
        let frames = &set.frames;
        eprintln!(
            "fitting {} frames of {}, taken as {}, on {}",
            frames.len(),
            frames.shape,
            config.kind(),
            device.name
        );
        if let Some(Place { stage, step, .. }) = resume.as_ref().map(|checkpoint| checkpoint.place) {
            eprintln!("going on after step {step} of {stage}");
        }
        let mut progress = Progress::new(&run, Duration::from_secs(self.checkpoint_every), self.keep_stages)?;
        let fitted = fit::fit_on(config, frames, devices, resume, &mut |event| progress.observe(event));
        let fitted = progress.finish(fitted)?;
        let fitted = Fitted { columns: set.columns.clone(), manner: Some(input.manner(set)), ..fitted };
        let lines = run.lines()?;
        let health = Health::new(&fitted, &lines);
        eprintln!("{health}");
        run.summary(&Summary {
            device: device.name.clone(),
            frames: frames.len(),
            parameters: trainer::export::Folded::new(&fitted)?.parameters(),
            novelty_threshold: fitted.calibration.novelty_threshold,
            temperature: fitted.calibration.temperature,
            health: health.clone(),
            last_epoch: fit::epoch_of_model(&fit::of_model(lines).0).cloned(),
        })?;
        // Last: the model's description is what says that a run has ended.
        run.save(&fitted)?;
        if self.strict && !health.bad.is_empty() {
            return Err(Error::Quality { missed: health.bad, of: health.said.len() });
        }
        Ok((fitted, run))
    }
}

impl Args {
    /// Fits a model and saves it.
    pub fn run(self) -> Result<()> {
        if let Some(folder) = &self.resume {
            return self.go_on(folder);
        }
        let config = self.training.configure(self.base.config(&self.input)?)?;
        let (set, config) = frames_for(&self.input, config)?;
        let devices = self.training.devices()?;
        let (_, run) = self.training.train(&config, &set, &self.input, &devices, "")?;
        tell(&run)
    }

    fn go_on(&self, folder: &Path) -> Result<()> {
        let (run, config, checkpoint) = Run::resume(folder)?;
        config.check_ranges()?;
        let source = Source::of_run(folder)?;
        let input = match &source {
            Some(source) => {
                let input = source.input(&self.input)?;
                if self.input.is_embedded() && !input.is_embedded() {
                    eprintln!("frames from {}, those that the run was begun with", input.name());
                }
                input
            }
            None => self.input.clone(),
        };
        let (set, config) = frames_for(&input, config)?;
        if let Some(source) = &source {
            source.check(&set.frames, &input, !self.input.is_embedded())?;
        }
        let devices = self.training.devices()?;
        let (_, run) = self.training.train_in(run, &config, &set, &input, &devices, checkpoint)?;
        tell(&run)
    }
}

/// Refuses a fit for which there is not enough memory; says how much it takes where it is not known how much there is.
fn check_memory(config: &CheckedConfig, set: &DataSet) -> Result<()> {
    let (config, shape) = fit::seen_as(config, &set.frames);
    let memory = Memory::of(&config, shape, set.frames.len());
    let Some(available) = super::memory::available() else {
        eprintln!("how much memory is free cannot be known on this system; the fit takes about {memory}");
        return Ok(());
    };
    memory.problem(available).map_or(Ok(()), |problem| Err(Error::resource("memory", problem)))
}

/// The frames to fit on, and the settings for them.
pub fn frames_for(input: &Input, config: Config) -> Result<(DataSet, CheckedConfig)> {
    let expected = Expected { kind: config.frames.said(), ..Expected::default() };
    let set = super::read(input, Role::Fit, &expected)?;
    let config = config.taken_as(set.taken.kind, set.frames.shape).check(set.frames.shape)?;
    Ok((set, config))
}

fn tell(run: &Run) -> Result<()> {
    eprintln!("next: trainer export {}", run.folder().display());
    super::print_line(run.folder().display())
}

/// Figures of a run without times and all else that two runs of the same seed differ in.
#[derive(Serialize)]
struct Summary {
    device: String,
    frames: usize,
    parameters: usize,
    novelty_threshold: f32,
    temperature: f32,
    health: Health,
    /// The epoch whose weights the model has: the last one, unless stage 3 kept another's.
    last_epoch: Option<serde_json::Value>,
}

/// The first of `parent/name1`, `parent/name2`, ... that does not exist.
fn next_free(parent: &Path, name: &str) -> Result<PathBuf> {
    (1..10_000)
        .map(|n| parent.join(format!("{name}{n}")))
        .find(|path| !path.exists())
        .ok_or_else(|| Error::resource(parent.display(), "holds 10,000 runs; remove some or use --out"))
}
