//! Replays the embedded digits, or a recording, through the device's loop on the host.

use std::fmt::Display;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use firmware_sim::host::device::StreamModel;
use firmware_sim::host::digits::digits_model;
use firmware_sim::host::drift_trial::{TrialArgs, trials};
use firmware_sim::host::replay::{ReplayArgs, replay};
use firmware_sim::host::stream::{Answers, StreamArgs, stream};
use runtime::flash::Buffer;
use serde::Serialize;

/// A device on the host: a sensor shows the 10,000 embedded digits at a set rate, with faults on
/// the way; the device queues, assigns, votes, raises alarms and counts, with its model in
/// simulated flash. The same seed gives the same table, up to the throughput.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true, after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    replay: ReplayArgs,
    /// Flash image of the model.
    #[arg(long, global = true, value_name = "FILE", default_value = "models/digits.cvi")]
    model: PathBuf,
    /// Seed of the order of digits, of faults and of drift.
    #[arg(long, global = true, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Print JSON instead of a table.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Accuracy under drift, as trained and with the mixture following.
    Drift(TrialArgs),
    /// A recording, sample by sample, through the loop of a model that says how windows are cut: an answer a window, as CSV.
    Stream(StreamArgs),
}

const AFTER_HELP: &str = "\
Examples:
  firmware-sim                                     a replay with a few faults of every kind
  firmware-sim --rate 200 --step-ms 8              frames come faster than the device is
  firmware-sim --drift background --adapt          the mixture follows a background that brightens
  firmware-sim drift                               what following is worth, for every kind of drift
  firmware-sim stream pump.csv --time t --model models/vibration.cvi
                                                   what the device says of a recording

Exit codes: 0 done, 1 failed, 2 usage, 5 the model is missing, damaged or not one for these frames";

/// Exit code where the model cannot be used.
const BAD_MODEL: u8 = 5;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let model = Buffer::read(&cli.model).map_err(anyhow::Error::from).and_then(|bytes| {
        match cli.command {
            Some(Command::Stream(_)) => drop(StreamModel::new(&bytes)?),
            _ => drop(digits_model(&bytes)?),
        }
        Ok(bytes)
    });
    match model {
        Ok(model) => run(&cli, &model).map_or_else(|error| failed(&error, ExitCode::FAILURE), |()| ExitCode::SUCCESS),
        Err(error) => failed(&error.context(format!("{}", cli.model.display())), ExitCode::from(BAD_MODEL)),
    }
}

fn failed(error: &anyhow::Error, code: ExitCode) -> ExitCode {
    eprintln!("error: {error:#}");
    code
}

fn run(cli: &Cli, model: &[u8]) -> Result<()> {
    match &cli.command {
        None => print(cli, &replay(model, &cli.replay, cli.seed)?),
        Some(Command::Drift(args)) => print(cli, &trials(model, args, cli.seed)?),
        Some(Command::Stream(args)) => {
            let answers = stream(&StreamModel::new(model)?, args)?;
            tell(&answers);
            print(cli, &answers)
        }
    }
}

/// What of a recording no answer shows.
fn tell(answers: &Answers) {
    let Answers { windows, missing, clipped, gaps } = answers;
    if windows.is_empty() {
        eprintln!("no window is whole: the recording, or every part of it between gaps, is shorter than one");
    }
    if *gaps > 0 {
        eprintln!("{gaps} gaps, of them {missing} samples with a value that is missing; no window crosses one");
    }
    if *clipped > 0 {
        eprintln!("{clipped} values are past the 16 bits of the sensor, which cuts them off");
    }
}

fn print(cli: &Cli, result: &(impl Display + Serialize)) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let text = if cli.json { serde_json::to_string_pretty(result)? + "\n" } else { result.to_string() };
    match out.write_all(text.as_bytes()) {
        // Whoever reads may have read enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}
