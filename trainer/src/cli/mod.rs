//! One file a verb.

mod answers;
mod benchmark;
mod calibrate;
mod compare;
mod critic;
mod demo;
mod eval;
mod explain;
mod export;
mod fit;
mod gmm;
mod inspect;
mod journal;
mod latents;
pub mod memory;
mod on;
mod predict;
mod progress;
mod quality;
mod range;
mod report;
mod stamp;
mod throughput;

use clap::{CommandFactory, Parser, Subcommand};
use trainer::Result;
use trainer::data::{DataSet, Expected, Input, Role, Source};
use trainer::fit::sha256_of;
use trainer::fitted::Fitted;

/// Exit codes, shown by `--help`.
const EXIT_CODES: &str = "\
Exit codes:
  0    done
  2    unknown option, unknown key, or a setting out of range
  3    a data file is damaged or of another form than expected
  4    training diverged, or the clusters collapsed
  5    a model file is damaged or incompatible
  6    a quality bar was missed
  7    a file could not be written, or the device is missing
  8    clusters=auto found one cluster, or no number of them
  130  interrupted

Example:
  trainer fit --data mnist/ --out runs/mnist && trainer export runs/mnist";

/// Fits the cluster VAE to unlabelled frames and exports it for the device.
#[derive(Parser, Debug)]
#[command(name = "trainer", version, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// Say what data are taken for, before anything is fitted
    Inspect(inspect::Args),
    /// Fit a model to unlabelled frames
    Fit(fit::Args),
    /// Write the files of a fitted model for the device
    Export(export::Args),
    /// Write the checksum of a model anew that another program changed and saved
    Stamp(stamp::Args),
    /// Score a model: against labels, and by its bound
    Eval(eval::Args),
    /// Set a run beside k-means and mixtures on the values themselves
    Compare(compare::Args),
    /// Calibrate novelty and confidence of a fitted model anew
    Calibrate(calibrate::Args),
    /// Train the amortised critic of a fitted model, and measure it
    Critic(critic::Args),
    /// Label frames with a model: an ONNX file, a flash image, or a run
    Predict(predict::Args),
    /// Show why frames went to their clusters, as pictures and numbers
    Explain(explain::Args),
    /// Measure what is claimed of a model and its maps, each claim with its bar
    Quality(quality::Args),
    /// Write the latent means of frames
    Latents(latents::Args),
    /// Write a page about a run: heatmaps, curves, clusters, calibration
    Report(report::Args),
    /// Fit a Gaussian mixture to a table of numbers, or apply one that is saved
    Gmm(gmm::Args),
    /// Fit, export and label the embedded digits: everything at once
    Demo(demo::Args),
    /// Fit under several seeds and print what each scores
    Benchmark(benchmark::Args),
    /// Time training steps
    Throughput(throughput::Args),
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

impl Cli {
    /// Runs the verb that was asked for.
    pub fn run(self) -> Result<()> {
        match self.verb {
            Verb::Inspect(args) => args.run(),
            Verb::Fit(args) => args.run(),
            Verb::Export(args) => args.run(),
            Verb::Stamp(args) => args.run(),
            Verb::Eval(args) => args.run(),
            Verb::Compare(args) => args.run(),
            Verb::Calibrate(args) => args.run(),
            Verb::Critic(args) => args.run(),
            Verb::Predict(args) => args.run(),
            Verb::Explain(args) => args.run(),
            Verb::Quality(args) => args.run(),
            Verb::Latents(args) => args.run(),
            Verb::Report(args) => args.run(),
            Verb::Gmm(args) => args.run(),
            Verb::Demo(args) => args.run(),
            Verb::Benchmark(args) => args.run(),
            Verb::Throughput(args) => args.run(),
            Verb::Completions { shell } => {
                clap_complete::generate(shell, &mut Cli::command(), "trainer", &mut std::io::stdout());
                Ok(())
            }
        }
    }
}

/// Reads a part of the data, and says on stderr what was taken for what.
fn read(input: &Input, role: Role, expected: &Expected) -> Result<DataSet> {
    let set = input.open_for(role, expected)?;
    eprintln!("{}", set.taken);
    Ok(set)
}

/// Says on stderr that frames are those that the model was fitted to, where they are: scores on them are no promise.
///
/// # Errors
/// As for [`Source::read`].
fn tell_if_fitted(fitted: &Fitted, frames: &dyn Source) -> Result<()> {
    if sha256_of(frames)? == fitted.data_sha256 {
        eprintln!("these are the frames that the model was fitted to; scores on others are what it is worth");
    }
    Ok(())
}

/// Writes a line to stdout; a reader that closed the pipe early is no error.
fn print_line(text: impl std::fmt::Display) -> Result<()> {
    use std::io::Write;
    match writeln!(std::io::stdout(), "{text}") {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(trainer::Error::resource("stdout", e)),
        _ => Ok(()),
    }
}

/// Writes a value to stdout as JSON.
fn print_json(value: &impl serde::Serialize) -> Result<()> {
    print_line(serde_json::to_string_pretty(value).map_err(|e| trainer::Error::resource("stdout", e))?)
}
