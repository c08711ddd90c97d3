//! What a mixture is chosen by: likelihood against the number of parameters.

use serde::Serialize;

use super::{Mixture, Points};

/// Likelihood and information criteria of a mixture on the points that it was fitted to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Criteria {
    /// Sum of log p(x), each point as often as its weight says, nats.
    pub log_likelihood: f64,
    /// Number of free parameters p.
    pub parameters: usize,
    /// Bayesian information criterion p log N - 2 log-likelihood, N the total weight; less is better.
    pub bic: f64,
    /// Akaike information criterion 2p - 2 log-likelihood; less is better.
    pub aic: f64,
}

impl Criteria {
    /// The criteria of `mixture` on `points`, of which it gives this log-likelihood, nats.
    pub fn new(points: Points<'_>, mixture: &Mixture, log_likelihood: f64) -> Self {
        let parameters = mixture.free_parameters();
        let p = parameters as f64;
        Self {
            log_likelihood,
            parameters,
            bic: p * points.total_weight().ln() - 2.0 * log_likelihood,
            aic: 2.0 * p - 2.0 * log_likelihood,
        }
    }
}
