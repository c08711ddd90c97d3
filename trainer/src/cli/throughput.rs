//! `trainer throughput`: how many frames a second training steps on.

use clap::ValueEnum;
use serde::Serialize;
use trainer::config::{CheckedConfig, Config, Preset};
use trainer::data::{Expected, Input, Role, StoredFrames};
use trainer::device::{self, Choice};
use trainer::fit::throughput;
use trainer::frame::FrameShape;
use trainer::stage::StageName;
use trainer::{Error, Result};

/// Number of batches that the frames must make, or they are repeated.
const BATCHES: usize = 16;

/// Time training steps: batches, views, both passes, optimiser
///
/// benches/training.py runs it in turn with PyTorch.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  trainer throughput --network conv --stage refine --batch 256 --json")]
pub struct Args {
    /// Networks
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["conv", "vade", "mlp"])]
    network: Vec<Network>,
    /// Stages, pretrain or refine
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["pretrain", "refine"])]
    stage: Vec<StageName>,
    /// Frames a step
    #[arg(long, value_name = "N", value_delimiter = ',', default_values = ["256", "4096"])]
    batch: Vec<usize>,
    /// Rounds, of which the median counts; one more warms up
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=1000))]
    rounds: u64,
    /// Steps a round
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    steps: u64,
    #[command(flatten)]
    input: Input,
    /// Where to train: auto, cpu, gpu, cuda, vulkan or wgpu; cuda:1 is the second GPU
    #[arg(long, value_name = "KIND[:N]", default_value_t)]
    device: Choice,
    /// Change a setting of every network
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Network that is timed, with the settings of the default preset otherwise.
#[derive(Clone, Copy, Debug, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
enum Network {
    /// The default: convolutions 16, 32, dense 128; decoder 256, 256
    Conv,
    /// 784-500-500-2000-10 and back, as in VaDE
    Vade,
    /// 784-256-128-10 and back
    Mlp,
}

impl Network {
    fn settings(self) -> &'static [&'static str] {
        match self {
            Self::Conv => &[],
            Self::Vade => &["encoder.channels=[]", "encoder.hidden=[500,500,2000]", "decoder.hidden=[2000,500,500]"],
            Self::Mlp => &["encoder.channels=[]", "encoder.hidden=[256,128]", "decoder.hidden=[128,256]"],
        }
    }
}

#[derive(Serialize)]
struct ThroughputReport {
    device: String,
    measurements: Vec<Measurement>,
}

#[derive(Serialize)]
struct Measurement {
    network: Network,
    stage: StageName,
    batch: usize,
    steps: u64,
    /// Frames a second, of every round.
    rounds: Vec<f64>,
    median: f64,
}

impl Args {
    /// Times the steps and prints the table.
    pub fn run(self) -> Result<()> {
        let device = device::choose(self.device)?;
        if let Some(hint) = device::unused_gpu(self.device) {
            eprintln!("{hint}");
        }
        let frames = super::read(&self.input, Role::Fit, &Expected::default())?.frames;
        let mut measurements = Vec::new();
        for &network in &self.network {
            for &stage in &self.stage {
                for &batch in &self.batch {
                    let config = self.config(network, batch, frames.shape)?;
                    let frames = repeated(&frames, batch)?;
                    let (rounds, steps) = (self.rounds as usize, self.steps as usize);
                    let rounds = throughput(&config, &frames, &device.device, stage, rounds, steps)?;
                    let mut sorted = rounds.clone();
                    sorted.sort_by(f64::total_cmp);
                    let median = sorted[sorted.len() / 2];
                    eprintln!("{network:?} {stage} batch {batch}: {median:.0} frames a second");
                    measurements.push(Measurement { network, stage, batch, steps: self.steps, rounds, median });
                }
            }
        }
        let report = ThroughputReport { device: device.name, measurements };
        if self.json { super::print_json(&report) } else { super::print_line(table(&report)) }
    }

    fn config(&self, network: Network, batch: usize, shape: FrameShape) -> Result<CheckedConfig> {
        let mut config: Config = Preset::Default.config();
        config = config.set(&network.settings().iter().map(|&setting| setting.to_owned()).collect::<Vec<_>>())?;
        (config.pretrain.batch, config.refine.batch) = (batch.into(), batch.into());
        config.set(&self.settings)?.check(shape)
    }
}

/// The frames, over and over until they make enough batches.
fn repeated(frames: &StoredFrames, batch: usize) -> Result<StoredFrames> {
    if frames.is_empty() {
        return Err(Error::config("--data", "holds no frames"));
    }
    let count = frames.len().max(BATCHES * batch);
    Ok(frames.select(&(0..count).map(|n| n % frames.len()).collect::<Vec<_>>()))
}

/// The measurements as Markdown, as in `docs/speed.md`.
fn table(report: &ThroughputReport) -> String {
    let rows: String = report
        .measurements
        .iter()
        .map(|m| format!("\n| {:?} | {} | {} | {:.0} |", m.network, m.stage, m.batch, m.median))
        .collect();
    format!("{}\n\n| network | stage | batch | frames a second |\n|---|---|---|---|{rows}", report.device)
}
