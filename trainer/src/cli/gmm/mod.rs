//! `trainer gmm`.

mod components;
mod model;
mod report;

use std::path::PathBuf;

use components::Components;
use report::Report;
use trainer::data::{DataSet, Expected, Frames, Input};
use trainer::files::write_atomically;
use trainer::frame::FrameKind;
use trainer::gmm::{CovarianceType, EStep, Points};
use trainer::ranking::argmax;
use trainer::{Error, Result};

/// Fit a Gaussian mixture to a table of numbers, or apply one that is saved
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  trainer gmm --data iris.csv --components 3 --covariance full --estimator map --json
  trainer gmm --data iris.csv --components 1..10 --covariance tied     # K by BIC
  trainer gmm --data iris.csv --components auto                        # K by valleys
  trainer gmm --data sold.csv --components 4 --weight pieces --label kind --out mixture.json
  trainer gmm --model mixture.json --data new.csv --assign clusters.csv

Columns are scaled to mean 0 and deviation 1 before EM and all that is printed is in their own units again, so that
neither offsets nor units cost digits. --reg-covar is a share of a column's variance.")]
pub struct Args {
    #[command(flatten)]
    input: Input,
    /// Components: K, or A..B for every K from A to B, of which the one with the least BIC is taken, or
    /// auto: as many as there are clusters, counted as `fit --set clusters=auto` does
    #[arg(long, value_name = "K|A..B|auto", required_unless_present = "model")]
    components: Option<Components>,
    /// Family of covariances
    #[arg(long, value_enum, default_value = "full")]
    covariance: CovarianceType,
    /// Maximum likelihood, or maximum a posteriori under a weak conjugate prior
    #[arg(long, value_enum, default_value = "mle")]
    estimator: EstimatorChoice,
    /// Starts; the best is kept
    #[arg(long, value_name = "R", default_value_t = 10)]
    restarts: usize,
    /// Converged when the mean log-likelihood gains less than this, nats
    #[arg(long, value_name = "T", default_value_t = 1e-6)]
    tol: f64,
    /// Iterations of a start
    #[arg(long, value_name = "M", default_value_t = 500)]
    max_iter: usize,
    /// Added to every variance under MLE, as a share of the column's variance
    #[arg(long, value_name = "V", default_value_t = 1e-6)]
    reg_covar: f64,
    /// Seed of the starts
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Column of a table that holds weights: how often a row counts
    #[arg(long, value_name = "COLUMN")]
    weight: Option<String>,
    /// Model file to write
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Model file to apply to the rows, instead of a fit
    #[arg(long, value_name = "FILE", conflicts_with_all = [
        "components", "covariance", "estimator", "restarts", "tol", "max_iter", "reg_covar", "seed", "out",
    ])]
    model: Option<PathBuf>,
    /// CSV file to write: cluster, log-density and responsibilities of every row
    #[arg(long, value_name = "FILE")]
    assign: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum EstimatorChoice {
    Mle,
    Map,
}

impl Args {
    /// Fits the mixture or reads it, says what it makes of the rows, and prints it.
    pub fn run(self) -> Result<()> {
        if self.input.is_embedded() {
            return Err(Error::config("--data", "missing: give a table of numbers"));
        }
        let saved = self.model.as_deref().map(model::load).transpose()?;
        let columns = saved.as_ref().and_then(|saved| saved.columns.clone());
        let expected = Expected { kind: Some(FrameKind::Features), columns, ..Expected::default() };
        let table = self.input.open_table(self.weight.as_deref(), &expected)?;
        eprintln!("{}", table.taken);
        let points = points(&table)?;
        let (mixture, fitted) = match saved {
            Some(saved) => {
                model::check(&saved, &self.input.name(), &table)?;
                (saved, None)
            }
            None => {
                let (mixture, fitted) = self.fit(points, table.columns.clone())?;
                (mixture, Some(fitted))
            }
        };
        let seen = mixture.e_step(points)?;
        let clusters: Vec<usize> =
            seen.responsibilities.chunks_exact(mixture.mixture.components()).map(argmax).collect();
        let report = Report::new(points, &mixture, &seen, &clusters, table.frames.labels.as_deref(), fitted);
        if let Some(path) = &self.out {
            model::save(path, &mixture)?;
        }
        if let Some(path) = &self.assign {
            let text = assignments(&seen, &clusters).map_err(|e| Error::resource(path.display(), e))?;
            write_atomically(path, &text)?;
        }
        if self.json { super::print_json(&report) } else { report.print() }
    }
}

/// The rows of a table, with their weights.
fn points(table: &DataSet<Frames<f64>>) -> Result<Points<'_>> {
    let points = Points::new(&table.frames.values, table.frames.shape.len())?;
    Ok(match &table.weights {
        Some(weights) => points.weighted(weights)?,
        None => points,
    })
}

/// What the mixture says of every row, as CSV.
fn assignments(seen: &EStep, clusters: &[usize]) -> Result<Vec<u8>, csv::Error> {
    let k = seen.responsibilities.len() / clusters.len();
    let mut writer = csv::Writer::from_writer(Vec::new());
    let fixed = ["index", "cluster", "log_density"].map(str::to_owned);
    writer.write_record(fixed.into_iter().chain((0..k).map(|c| format!("p_{c}"))))?;
    let rows = clusters.iter().zip(&seen.log_densities).zip(seen.responsibilities.chunks_exact(k));
    for (index, ((cluster, log_density), row)) in rows.enumerate() {
        // With an exponent where that is shorter.
        let head = [index.to_string(), cluster.to_string(), format!("{log_density:?}")];
        writer.write_record(head.into_iter().chain(row.iter().map(|p| format!("{p:?}"))))?;
    }
    writer.into_inner().map_err(|e| e.into_error().into())
}

/// Names of columns for a reader; their numbers, from 1, where the table has no header.
fn named(columns: Option<&[String]>, which: usize) -> String {
    columns.map_or_else(|| (which + 1).to_string(), |names| format!("\"{}\"", names[which]))
}
