//! The EM loop and its restarts.
//!
//! An iteration is an M-step from the responsibilities, then an E-step that gives the new
//! responsibilities and, with them, the objective. The E-step makes the bound on the log-likelihood
//! tight and the M-step maximises that bound, so the objective never falls. It stops when an
//! iteration changes the objective by less than `tol` a point.
//!
//! Two settings make it a fixed-point iteration, which climbs nothing that is known: pooling, whose
//! prior moves with the responsibilities, and `reg_covar`, which is added after the maximum. What is
//! reported then is still the log-likelihood, which is what starts are compared by, and
//! [`Fit::largest_fall`] says how far it fell on the way.
//!
//! A start is a set of hard responsibilities from [`init`], so the loop begins with an M-step. EM
//! finds the optimum of its basin only, hence the restarts. They share nothing but the points, run
//! in parallel with a stream of random numbers each, and the best is found in their order.

use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::{CovarianceType, EStep, Estimator, GmmError, Mixture, Points, e_step, init, m_step};

/// Mixture to fit, and when to stop.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Number of components K.
    pub components: usize,
    /// Family of the covariances.
    pub covariance: CovarianceType,
    /// Objective of the M-step: MLE, MAP, or pooled.
    pub estimator: Estimator,
    /// True to hold every weight at 1/K, as p(c) of the cluster VAE does: components then pay for
    /// unequal shares, which is what a component that holds two modes has.
    pub uniform_weights: bool,
    /// Converged when the objective gains less than this a point, nats.
    pub tol: f64,
    /// Most iterations of one start.
    pub max_iter: usize,
    /// Number of starts; the one with the best objective is kept.
    pub restarts: usize,
}

/// A fitted mixture, with its responsibilities and its history.
#[derive(Clone, Debug)]
pub struct Fit {
    /// Parameters of the fitted mixture.
    pub mixture: Mixture,
    /// Responsibilities and densities of the points under the fitted mixture.
    pub expectation: EStep,
    /// Log-likelihood (MLE, pooled, proportional), or log-posterior up to a constant (MAP), after every
    /// iteration, nats. Pooling does not maximise it, so it may fall.
    pub objective: Vec<f64>,
    /// True if `tol` was reached within `max_iter`.
    pub converged: bool,
}

impl Fit {
    /// The objective after the last iteration, nats.
    pub fn best(&self) -> f64 {
        self.objective.last().copied().unwrap_or(f64::NEG_INFINITY)
    }

    /// The largest fall of the objective from an iteration to the next, nats; 0 where it never fell.
    pub fn largest_fall(&self) -> f64 {
        self.objective.windows(2).map(|pair| pair[0] - pair[1]).fold(0.0, f64::max)
    }

    /// `k` copies of the only component, which describe the points as the one does.
    ///
    /// # Panics
    /// If there is more than one component.
    pub fn copies(self, k: usize) -> Self {
        assert_eq!(self.mixture.components(), 1);
        let share = 1.0 / k as f64;
        let mixture = Mixture {
            weights: vec![share; k],
            means: self.mixture.means.repeat(k),
            covariances: vec![self.mixture.covariances[0].clone(); k],
        };
        let responsibilities = vec![share; k * self.expectation.log_densities.len()];
        Self { mixture, expectation: EStep { responsibilities, ..self.expectation }, ..self }
    }
}

/// Fits a mixture from `restarts` starts, run in parallel; `rng` gives the stream of each.
///
/// Even starts are k-means, odd ones k-means++ centres alone, which lie farther apart.
///
/// # Errors
/// [`GmmError::FewPoints`] if there are fewer points than components, [`GmmError::Singular`] if no start keeps its
/// covariances positive definite.
pub fn fit(points: Points<'_>, settings: &Settings, rng: impl Fn(u64) -> ChaCha8Rng + Sync) -> Result<Fit, GmmError> {
    if points.len() < settings.components {
        return Err(GmmError::FewPoints { components: settings.components, points: points.len() });
    }
    let fits: Vec<Option<Fit>> = (0..settings.restarts as u64)
        .into_par_iter()
        .map(|restart| {
            let mut rng = rng(restart);
            let centres = if restart % 2 == 0 {
                init::kmeans(points, settings.components, &mut rng)
            } else {
                init::kmeans_plus_plus(points, settings.components, &mut rng)
            };
            let start = init::one_hot(&init::assign(points, &centres), settings.components);
            fit_from(points, &start, settings)
        })
        .collect();
    // The first of equals wins, so that the result does not depend on the order of threads.
    let best = fits.into_iter().flatten().reduce(|a, b| if b.best() > a.best() { b } else { a });
    best.ok_or(GmmError::Singular)
}

/// EM from given responsibilities `[N,K]`; None if a covariance is not positive definite, or the work is stopped.
pub fn fit_from(points: Points<'_>, responsibilities: &[f64], settings: &Settings) -> Option<Fit> {
    let update = |r: &[f64]| {
        let mut mixture = m_step(points, r, settings.components, settings.covariance, &settings.estimator);
        if settings.uniform_weights {
            mixture.weights.fill(1.0 / settings.components as f64);
        }
        mixture
    };
    let mut mixture = update(responsibilities);
    let mut expectation = e_step(points, &mixture)?;
    let mut objective = vec![value(&settings.estimator, &mixture, &expectation)];
    let mut converged = false;
    for _ in 1..settings.max_iter {
        if points.is_stopped() {
            return None;
        }
        mixture = update(&expectation.responsibilities);
        expectation = e_step(points, &mixture)?;
        let gain = value(&settings.estimator, &mixture, &expectation) - objective[objective.len() - 1];
        objective.push(objective[objective.len() - 1] + gain);
        if gain.abs() < settings.tol * points.total_weight() {
            converged = true;
            break;
        }
    }
    objective[0].is_finite().then_some(Fit { mixture, expectation, objective, converged })
}

/// What the fit of an estimator is measured by, nats: log-likelihood, for MAP plus the log-density of
/// the prior. All but pooling maximise it.
fn value(estimator: &Estimator, mixture: &Mixture, expectation: &EStep) -> f64 {
    match estimator {
        Estimator::Mle { .. } | Estimator::Pooled { .. } | Estimator::Proportional { .. } => expectation.log_likelihood,
        Estimator::Map(prior) => expectation.log_likelihood + prior.log_density(mixture),
    }
}
