//! `trainer benchmark`: one fit a seed, each a process of its own, and the table of what they
//! score.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Instant;

use burn::tensor::Device;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use trainer::config::Config;
use trainer::data::{DataSet, Expected, Input, Role};
use trainer::device::{self, Choice};
use trainer::eval::{Scores, predict, scores};
use trainer::files::write_atomically;
use trainer::run;
use trainer::{Error, Result};

use super::fit::Base;

/// Fit under several seeds and print what each scores
///
/// The seeds are 0, 1, 2, ..., fixed beforehand, and every one is reported. What is done already in
/// --out is kept, and an interrupted fit goes on, so the command may be repeated after a power cut.
/// The table is also written to table.md in --out.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  trainer benchmark --data mnist/ --seeds 3 --jobs 2 --out runs/mnist-seeds")]
pub struct Args {
    #[command(flatten)]
    base: Base,
    #[command(flatten)]
    input: Input,
    /// Number of seeds, from 0
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// Fits at once; the CPU's threads are shared out [default: one a device]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=256))]
    jobs: Option<u64>,
    /// GPUs that the fits are dealt out to, each fit to one
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=64))]
    devices: u64,
    /// Where the runs go
    #[arg(long, value_name = "DIR", default_value = "runs/benchmark")]
    out: PathBuf,
    /// Where to train: auto, cpu, gpu, cuda, vulkan or wgpu; cuda:1 is the second GPU
    #[arg(long, value_name = "KIND[:N]", default_value_t)]
    device: Choice,
    /// Change a setting, keys dotted as in config.toml; may be given more than once
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Outcome of one seed.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct SeedOutcome {
    acc: f64,
    nmi: f64,
    ari: f64,
    /// Of the process that finished the fit.
    seconds: f64,
}

#[derive(Serialize)]
struct BenchmarkReport {
    runs: BTreeMap<u64, SeedOutcome>,
    mean: f64,
    deviation: f64,
    minimum: f64,
    mean_nmi: f64,
    median_seconds: f64,
}

impl Args {
    /// Runs what is not yet done, and reports.
    pub fn run(self) -> Result<()> {
        let config = self.base.config(&self.input)?.set(&self.settings)?;
        let expected = Expected { kind: config.frames.said(), ..Expected::default() };
        let held_out = super::read(&self.input, Role::Score, &expected)?;
        if held_out.frames.labels.is_none() {
            return Err(Error::data(
                &*self.input.name(),
                "has no labels, and without them there is nothing to score against",
            ));
        }
        if self.devices > 1 || self.device.first > 0 {
            device::choose_many(self.device, self.devices as usize)?;
        }
        std::fs::create_dir_all(&self.out).map_err(|e| Error::resource(self.out.display(), e))?;
        let done = Mutex::new(BTreeMap::new());
        let next = Mutex::new(0..self.seeds);
        let work = |worker: u64| -> Result<()> {
            let device = Choice { first: self.device.first + (worker % self.devices) as usize, ..self.device };
            loop {
                let Some(seed) = locked(&next).next() else { return Ok(()) };
                let outcome = self.seed(seed, device, &held_out)?;
                eprintln!("seed {seed}: ACC {:.4}  NMI {:.4}", outcome.acc, outcome.nmi);
                locked(&done).insert(seed, outcome);
            }
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> =
                (0..self.jobs().min(self.seeds)).map(|worker| scope.spawn(move || work(worker))).collect();
            // Every worker ends before the first fault is told, so that no fit is left alone.
            let panicked = |_| Err(Error::resource("benchmark", "a worker panicked; its seed is not in the table"));
            let ends: Vec<Result<()>> =
                workers.into_iter().map(|worker| worker.join().unwrap_or_else(panicked)).collect();
            ends.into_iter().collect::<Result<()>>()
        })?;
        let report = report(locked(&done).clone());
        write_atomically(&self.out.join("table.md"), format!("{}\n", table(&report)).as_bytes())?;
        if self.json { super::print_json(&report) } else { super::print_line(table(&report)) }
    }

    /// Number of fits that run at once.
    fn jobs(&self) -> u64 {
        self.jobs.unwrap_or(self.devices)
    }

    /// The outcome of a seed, from its folder if it is there.
    fn seed(&self, seed: u64, device: Choice, held_out: &DataSet) -> Result<SeedOutcome> {
        let folder = self.out.join(format!("seed-{seed}"));
        self.check_settings(&folder, seed, held_out)?;
        let held_out = &held_out.frames;
        let path = folder.join("score.json");
        if let Ok(text) = std::fs::read(&path) {
            return serde_json::from_slice(&text).map_err(|e| Error::model(&path, e));
        }
        let started = Instant::now();
        if !folder.join("model.json").exists() {
            self.fit(seed, device, &folder)?;
        }
        let device = Device::flex();
        let fitted = run::load(&folder, &device)?;
        let predictions = predict(&fitted, held_out, &device)?;
        let Scores { acc, nmi, ari, .. } =
            scores(&predictions.clusters, held_out.labels.as_deref().unwrap_or_default());
        let outcome = SeedOutcome { acc, nmi, ari, seconds: started.elapsed().as_secs_f64() };
        let text = serde_json::to_string_pretty(&outcome).map_err(|e| Error::resource(path.display(), e))?;
        write_atomically(&path, text.as_bytes())?;
        Ok(outcome)
    }

    /// The settings of a seed, as `fit` makes them.
    fn settings(&self, seed: u64) -> Result<Config> {
        let mut config = self.base.config(&self.input)?.set(&self.settings)?;
        config.seed = seed;
        config.check_ranges()?;
        Ok(config)
    }

    /// Refuses a folder whose runs have other settings: a table must not mix them.
    fn check_settings(&self, folder: &Path, seed: u64, set: &DataSet) -> Result<()> {
        let shape = set.frames.shape;
        let expected = self.settings(seed)?.taken_as(set.taken.kind, shape).check(shape)?;
        let path = folder.join("config.toml");
        if path.exists() && Config::default().merge_file(&path)?.check(shape)? != expected {
            return Err(Error::resource(folder.display(), "holds a run of other settings; choose another --out"));
        }
        Ok(())
    }

    /// Runs `fit`, or goes on with it, as a process that writes to a log of its own.
    fn fit(&self, seed: u64, device: Choice, folder: &Path) -> Result<()> {
        let fault = |problem: String| Error::resource(format!("seed {seed}"), problem);
        let program = std::env::current_exe().map_err(|e| fault(e.to_string()))?;
        let log = self.out.join(format!("seed-{seed}.log"));
        let file =
            File::options().create(true).append(true).open(&log).map_err(|e| Error::resource(log.display(), e))?;
        let mut command = Command::new(program);
        // What stage 1 alone is worth is measured on the same runs (benches/baselines.py).
        command.args(["fit", "--keep-stages"]).stdout(file.try_clone().map_err(|e| fault(e.to_string()))?).stderr(file);
        command.arg("--device").arg(device.to_string());
        command.args(self.input.words());
        if folder.join("config.toml").exists() {
            command.arg("--resume").arg(folder);
        } else {
            command.arg("--out").arg(folder).arg("--seed").arg(seed.to_string());
            if let Some(preset) = self.base.preset.as_ref().and_then(ValueEnum::to_possible_value) {
                command.arg("--preset").arg(preset.get_name());
            }
            if let Some(config) = &self.base.config {
                command.arg("--config").arg(config);
            }
            for setting in &self.settings {
                command.arg("--set").arg(setting);
            }
        }
        if self.jobs() > 1 && std::env::var_os("RAYON_NUM_THREADS").is_none() {
            let threads = std::thread::available_parallelism().map_or(1, usize::from);
            command.env("RAYON_NUM_THREADS", (threads / self.jobs() as usize).max(1).to_string());
        }
        eprintln!("seed {seed}: fitting, see {}", log.display());
        match command.status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(fault(format!("fit ended with {status}; see {}", log.display()))),
            Err(e) => Err(fault(e.to_string())),
        }
    }
}

/// The lock of a list, whatever became of the worker that held it: a panic leaves the list of seeds
/// whole.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The report of all seeds.
fn report(runs: BTreeMap<u64, SeedOutcome>) -> BenchmarkReport {
    let n = runs.len() as f64;
    let mean = runs.values().map(|o| o.acc).sum::<f64>() / n;
    let squares: f64 = runs.values().map(|o| (o.acc - mean) * (o.acc - mean)).sum();
    let mut seconds: Vec<f64> = runs.values().map(|o| o.seconds).collect();
    seconds.sort_by(f64::total_cmp);
    BenchmarkReport {
        mean,
        deviation: (squares / (n - 1.0).max(1.0)).sqrt(),
        minimum: runs.values().map(|o| o.acc).fold(f64::INFINITY, f64::min),
        mean_nmi: runs.values().map(|o| o.nmi).sum::<f64>() / n,
        median_seconds: seconds[seconds.len() / 2],
        runs,
    }
}

/// The report as Markdown, as in `docs/results.md`.
fn table(report: &BenchmarkReport) -> String {
    let list = |numbers: Vec<String>| numbers.join(", ");
    format!(
        "| seeds | ACC of each | mean | deviation | minimum | mean NMI | median time |\n\
         |---|---|---|---|---|---|---|\n\
         | {} | {} | {:.4} | {:.4} | {:.4} | {:.4} | {:.0} s |",
        list(report.runs.keys().map(u64::to_string).collect()),
        list(report.runs.values().map(|o| format!("{:.4}", o.acc)).collect()),
        report.mean,
        report.deviation,
        report.minimum,
        report.mean_nmi,
        report.median_seconds
    )
}
