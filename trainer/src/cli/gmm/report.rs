//! What is printed of a mixture.

use serde::Serialize;
use trainer::Result;
use trainer::eval::{Scores, scores};
use trainer::gmm::{CovarianceType, EStep, Points, TableMixture};

use super::components::{Candidate, Fitted};
use super::named;
use crate::cli::print_line;

/// A mixture in the units of the data, and what it makes of the rows.
#[derive(Serialize)]
pub struct Report {
    /// Number of rows.
    n: usize,
    /// Number of components K.
    components: usize,
    #[serde(skip)]
    columns: Option<Vec<String>>,
    covariance: CovarianceType,
    /// Sum of log p(x) over the rows, each as often as its weight says, nats.
    #[serde(skip_serializing_if = "Option::is_none")]
    log_likelihood: Option<f64>,
    /// How it was fitted, with the log-likelihood; None if it was read from a file.
    #[serde(flatten)]
    fitted: Option<Fitted>,
    weights: Vec<f64>,
    means: Vec<Vec<f64>>,
    covariances: Vec<Vec<Vec<f64>>>,
    /// Number of rows that go to each component.
    counts: Vec<usize>,
    /// Agreement with labels, if there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    scores: Option<Scores>,
}

impl Report {
    pub fn new(
        points: Points<'_>,
        table: &TableMixture,
        seen: &EStep,
        clusters: &[usize],
        labels: Option<&[u32]>,
        fitted: Option<Fitted>,
    ) -> Self {
        let (mixture, d) = (table.in_units_of_data(), points.dim());
        let mut counts = vec![0; mixture.components()];
        clusters.iter().for_each(|c| counts[*c] += 1);
        Self {
            n: points.len(),
            components: mixture.components(),
            columns: table.columns.clone(),
            covariance: table.covariance,
            log_likelihood: fitted.is_none().then_some(seen.log_likelihood),
            fitted,
            means: mixture.means.chunks_exact(d).map(<[f64]>::to_vec).collect(),
            covariances: mixture.covariances.iter().map(|c| c.to_rows(d)).collect(),
            weights: mixture.weights,
            counts,
            scores: labels.map(|labels| scores(clusters, labels)),
        }
    }

    /// Prints it as lines for a reader.
    pub fn print(&self) -> Result<()> {
        if let Some(fitted) = &self.fitted {
            self.print_candidates(&fitted.candidates)?;
            let c = fitted.criteria;
            print_line(format!(
                "log-likelihood {:.4} nats, {} parameters\nBIC {:.4}\nAIC {:.4}\n{} after {} iterations",
                c.log_likelihood,
                c.parameters,
                c.bic,
                c.aic,
                if fitted.converged { "converged" } else { "not converged" },
                fitted.iterations
            ))?;
        }
        if let Some(log_likelihood) = self.log_likelihood {
            let mean = log_likelihood / self.n as f64;
            print_line(format!("log-likelihood {log_likelihood:.4} nats of {} rows, {mean:.4} a row", self.n))?;
        }
        if let Some(s) = &self.scores {
            print_line(format!("ACC {:.4}\nNMI {:.4}\nARI {:.4}", s.acc, s.nmi, s.ari))?;
        }
        for k in 0..self.components {
            print_line(format!("component {k}: weight {:.4}, {} rows", self.weights[k], self.counts[k]))?;
            for (j, mean) in self.means[k].iter().enumerate() {
                let deviation = self.covariances[k][j][j].sqrt();
                let (name, mean) = (named(self.columns.as_deref(), j), resolved(*mean, deviation));
                print_line(format!("  column {name}: mean {mean}, deviation {}", resolved(deviation, deviation)))?;
            }
        }
        Ok(())
    }

    /// The criteria of every number of components that was tried, and which was taken.
    fn print_candidates(&self, candidates: &[Candidate]) -> Result<()> {
        if candidates.is_empty() {
            return Ok(());
        }
        print_line(format!("{:>4} {:>10} {:>16} {:>16} {:>16}", "K", "parameters", "log-likelihood", "BIC", "AIC"))?;
        for Candidate { components, criteria } in candidates {
            print_line(match criteria {
                Some(c) => format!(
                    "{components:>4} {:>10} {:>16.4} {:>16.4} {:>16.4}",
                    c.parameters, c.log_likelihood, c.bic, c.aic
                ),
                None => format!("{components:>4} a covariance became singular in every start"),
            })?;
        }
        print_line(format!("least BIC: K = {}\n", self.components))
    }
}

/// A value with as many decimals as tell apart what differs by a thousandth of a deviation.
fn resolved(value: f64, deviation: f64) -> String {
    let decimals = 3.0 - deviation.log10().floor();
    if decimals.is_finite() && decimals <= 17.0 {
        format!("{value:.*}", decimals.max(0.0) as usize)
    } else {
        format!("{value:e}")
    }
}

#[cfg(test)]
mod tests {
    use super::resolved;

    #[test]
    fn decimals_follow_the_deviation() {
        assert_eq!(resolved(1_700_000_000.012_345, 0.002), "1700000000.012345");
        assert_eq!(resolved(1e-6, 1e-6), "0.000001000");
        assert_eq!(resolved(5.123_456, 0.35), "5.1235");
        assert_eq!(resolved(123_456.7, 9e4), "123457");
        assert_eq!(resolved(1e-30, 1e-30), "1e-30");
    }
}
