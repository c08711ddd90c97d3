//! The fit: of one number of components, of several, of which the least BIC decides, or of as many as are counted.

use std::ops::{ControlFlow, RangeInclusive};
use std::str::FromStr;

use serde::Serialize;
use trainer::config::MixtureConfig;
use trainer::fit::{Counted, Counting, Space, count_clusters};
use trainer::gmm::{
    self, ConjugatePrior, CovarianceType, Criteria, Estimator, GmmError, Points, Scale, Settings, TableMixture,
};
use trainer::rng::{Purpose, stream};
use trainer::{Error, Result};

use super::{Args, EstimatorChoice, named};

/// Numbers of components to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Components {
    /// Every number of a range.
    Among(RangeInclusive<usize>),
    /// As many as there are clusters.
    Auto,
}

impl FromStr for Components {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        let number = |text: &str| match text.trim().parse::<usize>() {
            Ok(0) => Err("0, expected at least 1".to_owned()),
            Ok(k) => Ok(k),
            Err(_) => Err(format!("\"{text}\", expected a number K, A..B for every K from A to B, or auto")),
        };
        let (from, to) = match text.split_once("..") {
            Some((from, to)) => (number(from)?, number(to.trim_start_matches('='))?),
            None => (number(text)?, number(text)?),
        };
        if from > to {
            return Err(format!("from {from} down to {to}, expected the smaller number first"));
        }
        Ok(Self::Among(from..=to))
    }
}

/// A number of components that was tried.
#[derive(Clone, Debug, Serialize)]
pub struct Candidate {
    /// Number of components K.
    pub components: usize,
    /// Likelihood and criteria; None if no start kept its covariances positive definite.
    #[serde(flatten)]
    pub criteria: Option<Criteria>,
}

/// A fit, beside its mixture.
#[derive(Clone, Debug, Serialize)]
pub struct Fitted {
    /// Likelihood, in the units of the data, and criteria.
    #[serde(flatten)]
    pub criteria: Criteria,
    /// True if `--tol` was reached within `--max-iter`.
    pub converged: bool,
    /// Iterations of the start that was kept.
    pub iterations: usize,
    /// What was tried, if it was more than one number of components.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<Candidate>,
    /// How they were counted, if they were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counted: Option<Counted>,
}

impl Args {
    /// Fits a mixture for every number of components that is asked for, and keeps that of the least BIC.
    pub(super) fn fit(&self, points: Points<'_>, columns: Option<Vec<String>>) -> Result<(TableMixture, Fitted)> {
        let range = match self.components.clone() {
            Some(Components::Among(range)) => range,
            Some(Components::Auto) => 1..=1,
            None => return Err(Error::config("--components", "missing, expected K, A..B or auto")),
        };
        self.check(points, &range)?;
        let constant = constant(points);
        for column in &constant {
            let column = named(columns.as_deref(), *column);
            eprintln!("column {column} is constant: --reg-covar alone is its variance in every component");
        }
        let scale = Scale::of(points, self.covariance);
        let scaled = scale.apply(points);
        let scaled = points.with_values(&scaled)?;
        let (range, counted) = match self.components {
            Some(Components::Auto) => {
                let (k, counted) = self.count(scaled)?;
                (k..=k, Some(counted))
            }
            _ => (range, None),
        };
        let mut best: Option<(gmm::Fit, Criteria)> = None;
        let mut candidates = Vec::new();
        for k in range.clone() {
            let fit = match self.fit_one(scaled, k) {
                Ok(fit) => fit,
                Err(GmmError::Singular) if range.start() < range.end() => {
                    candidates.push(Candidate { components: k, criteria: None });
                    continue;
                }
                Err(e) => return Err(e.into()),
            };
            let in_data = scale.undo_densities(scaled, fit.expectation.clone());
            let criteria = Criteria::new(points, &fit.mixture, in_data.log_likelihood);
            candidates.push(Candidate { components: k, criteria: Some(criteria) });
            if best.as_ref().is_none_or(|(_, least)| criteria.bic < least.bic) {
                best = Some((fit, criteria));
            }
        }
        let (fit, criteria) = best.ok_or(GmmError::Singular)?;
        if constant.is_empty() && self.estimator == EstimatorChoice::Mle {
            self.warn_of_floors(&fit);
        }
        if candidates.len() == 1 {
            candidates.clear();
        }
        let fitted =
            Fitted { criteria, converged: fit.converged, iterations: fit.objective.len(), candidates, counted };
        Ok((TableMixture { columns, covariance: self.covariance, scale, mixture: fit.mixture }, fitted))
    }

    /// Counts the clusters of scaled points, and tells how; one is an answer here.
    fn count(&self, scaled: Points<'_>) -> Result<(usize, Counted)> {
        if self.weight.is_some() {
            return Err(Error::config("--components", "auto counts rows, not weights; leave --weight out or say K"));
        }
        let counting = Counting {
            on: Space::Values,
            reg_covar: self.reg_covar,
            pooling: MixtureConfig::default().pooling,
            most: runtime::MAX_CLUSTERS,
            seed: self.seed,
        };
        let rows: Vec<f64> = scaled.rows().flatten().copied().collect();
        let mut goes_on = |_| ControlFlow::Continue(());
        let counted = count_clusters(&rows, scaled.dim(), &counting, &mut goes_on)?
            .ok_or_else(|| Error::resource("counting", "broke off"))?;
        eprintln!("{counted}");
        let k = if counted.clusters == Some(1) { 1 } else { counted.number(counting.most)? };
        Ok((k, counted))
    }

    /// Whether the options are in their ranges and there are rows for so many components.
    fn check(&self, points: Points<'_>, range: &RangeInclusive<usize>) -> Result<()> {
        if self.restarts == 0 || self.max_iter == 0 {
            return Err(Error::config("--restarts, --max-iter", "0, expected at least 1"));
        }
        for (name, value) in [("--tol", self.tol), ("--reg-covar", self.reg_covar)] {
            if !(value.is_finite() && value >= 0.0) {
                return Err(Error::config(name, format!("{value}, expected 0 or more")));
            }
        }
        let components = *range.end();
        if points.len() < components {
            return Err(GmmError::FewPoints { components, points: points.len() }.into());
        }
        let distinct = points.distinct(components);
        if distinct < components {
            return Err(GmmError::FewDistinct { components, distinct }.into());
        }
        Ok(())
    }

    /// Fits K components to scaled points.
    fn fit_one(&self, scaled: Points<'_>, components: usize) -> Result<gmm::Fit, GmmError> {
        let estimator = match self.estimator {
            EstimatorChoice::Mle => Estimator::Mle { reg_covar: self.reg_covar },
            EstimatorChoice::Map => Estimator::Map(ConjugatePrior::weak(scaled, components)),
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
        gmm::fit(scaled, &settings, |restart| stream(self.seed, Purpose::Mixture, restart))
    }

    /// Tells of components whose likelihood, and with it BIC, is as large as `--reg-covar` is small.
    fn warn_of_floors(&self, fit: &gmm::Fit) {
        let covariances = match self.covariance {
            CovarianceType::Tied => &fit.mixture.covariances[..1],
            _ => &fit.mixture.covariances[..],
        };
        for (k, covariance) in covariances.iter().enumerate() {
            if covariance.least_variance() <= 2.0 * self.reg_covar {
                eprintln!(
                    "component {k} has no extent in some direction but --reg-covar, which its likelihood hangs on: \
                     its rows coincide or depend on each other; fewer components or --estimator map mend that"
                );
            }
        }
    }
}

/// Columns in which all rows are the same.
fn constant(points: Points<'_>) -> Vec<usize> {
    (0..points.dim()).filter(|&j| points.rows().all(|x| x[j] == points.row(0)[j])).collect()
}
