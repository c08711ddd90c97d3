//! `trainer gmm`.

use std::ops::ControlFlow;
use std::path::PathBuf;

use serde::Serialize;
use trainer::config::{Count, MixtureConfig};
use trainer::fit::{Counted, Counting, Space, count_clusters};
use trainer::gmm::{self, ConjugatePrior, CovarianceType, Points, Settings};
use trainer::rng::{Purpose, stream};
use trainer::{Error, Result, data};

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum EstimatorChoice {
    Mle,
    Map,
}

/// Fit a Gaussian mixture to a table of numbers
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example:\n  trainer gmm --data iris.csv --components 3 --covariance full --estimator map --json"
)]
pub struct Args {
    /// Table of numbers, .csv or .npy `[N,D]`
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// Components K, or `auto`: as many as there are clusters, counted as `fit --set clusters=auto` counts them
    #[arg(long, value_name = "K", value_parser = components)]
    components: Count,
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
    /// Added to every variance under MLE
    #[arg(long, value_name = "V", default_value_t = 1e-6)]
    reg_covar: f64,
    /// Seed of the starts
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct GmmReport {
    log_likelihood: f64,
    bic: f64,
    aic: f64,
    weights: Vec<f64>,
    means: Vec<Vec<f64>>,
    covariances: Vec<Vec<Vec<f64>>>,
    converged: bool,
    iterations: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    counted: Option<Counted>,
}

fn components(text: &str) -> Result<Count, String> {
    match text {
        "auto" => Ok(Count::Auto),
        number => number.parse().map(Count::Of).map_err(|_| "expected a number or auto".to_owned()),
    }
}

impl Args {
    /// Fits the mixture and prints it.
    pub fn run(self) -> Result<()> {
        if self.components == Count::Of(0) || self.restarts == 0 || self.max_iter == 0 {
            return Err(Error::config("--components, --restarts, --max-iter", "0, expected at least 1"));
        }
        for (name, value) in [("--tol", self.tol), ("--reg-covar", self.reg_covar)] {
            if !(value.is_finite() && value >= 0.0) {
                return Err(Error::config(name, format!("{value}, expected 0 or more")));
            }
        }
        let table = data::open_table(&self.data)?;
        let values: Vec<f64> = table.values.iter().map(|&v| f64::from(v)).collect();
        let points = Points::new(&values, table.shape.len())?;
        let (components, counted) = match self.components {
            Count::Of(k) => (k, None),
            Count::Auto => {
                let (k, counted) = self.count(&values, table.shape.len())?;
                (k, Some(counted))
            }
        };
        let estimator = match self.estimator {
            EstimatorChoice::Mle => gmm::Estimator::Mle { reg_covar: self.reg_covar },
            EstimatorChoice::Map => gmm::Estimator::Map(ConjugatePrior::weak(points, components)),
        };
        let settings = Settings {
            components,
            covariance: self.covariance,
            estimator,
            uniform_weights: false,
            tol: self.tol,
            max_iter: self.max_iter,
            restarts: self.restarts,
        };
        let fit = gmm::fit(points, &settings, |restart| stream(self.seed, Purpose::Mixture, restart))?;
        let log_likelihood = fit.expectation.log_likelihood();
        let (n, p) = (points.len() as f64, fit.mixture.free_parameters() as f64);
        let d = points.dim();
        let report = GmmReport {
            log_likelihood,
            bic: p * n.ln() - 2.0 * log_likelihood,
            aic: 2.0 * p - 2.0 * log_likelihood,
            weights: fit.mixture.weights.clone(),
            means: fit.mixture.means.chunks_exact(d).map(<[f64]>::to_vec).collect(),
            covariances: fit.mixture.covariances.iter().map(|c| c.to_rows(d)).collect(),
            converged: fit.converged,
            iterations: fit.objective.len(),
            counted,
        };
        if self.json { super::print_json(&report) } else { print(&report) }
    }

    /// Counts the clusters of a table, and tells how; one is an answer here.
    fn count(&self, values: &[f64], dim: usize) -> Result<(usize, Counted)> {
        let counting = Counting {
            on: Space::Values,
            reg_covar: self.reg_covar,
            pooling: MixtureConfig::default().pooling,
            most: runtime::MAX_CLUSTERS,
            seed: self.seed,
        };
        let stopped = || Error::resource("trainer gmm", "broke off");
        let goes_on = &mut |_| ControlFlow::Continue(());
        let counted = count_clusters(values, dim, &counting, goes_on)?.ok_or_else(stopped)?;
        eprintln!("{counted}");
        let k = if counted.clusters == Some(1) { 1 } else { counted.number(counting.most)? };
        Ok((k, counted))
    }
}

fn print(report: &GmmReport) -> Result<()> {
    super::print_line(format!(
        "log-likelihood {:.4} nats\nBIC {:.4}\nAIC {:.4}\n{} after {} iterations",
        report.log_likelihood,
        report.bic,
        report.aic,
        if report.converged { "converged" } else { "not converged" },
        report.iterations
    ))?;
    for (k, (weight, mean)) in report.weights.iter().zip(&report.means).enumerate() {
        let variances: Vec<f64> = report.covariances[k].iter().enumerate().map(|(i, row)| row[i]).collect();
        super::print_line(format!("component {k}: weight {weight:.4}, mean {mean:.4?}, variances {variances:.4?}"))?;
    }
    Ok(())
}
