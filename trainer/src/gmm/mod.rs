//! Gaussian mixtures by expectation-maximisation (§5 of the paper), in f64, without tensors.
//!
//! p(x) = Σ_k π_k N(x; μ_k, Σ_k). Everything about components is computed in log space. Points may carry weights: a point
//! of weight w counts as w points in one place would, in the log-likelihood, in the M-step and where EM starts.
//!
//! All cores share the work, and their number changes no bit: what is found for a point depends on no other, and a sum over
//! points is taken in their order, by one thread for each component.

mod covariance;
mod criteria;
mod e_step;
mod em;
mod error;
mod init;
mod m_step;
mod moves;
mod scale;
mod table;
mod valleys;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;

pub use covariance::{Covariance, CovarianceType};
pub use criteria::Criteria;
pub use e_step::{EStep, e_step};
pub use em::{Fit, Settings, fit, fit_from};
pub use error::GmmError;
pub use init::{assign, inertia, kmeans, kmeans_plus_plus};
pub use m_step::{ConjugatePrior, Estimator, m_step};
pub use moves::split_and_merge;
pub use scale::Scale;
pub use table::TableMixture;
pub use valleys::{EVIDENCE, Joined, join_without_valley};

/// N points of D dimensions, each of weight 1 unless weights are given.
#[derive(Clone, Copy, Debug)]
pub struct Points<'a> {
    values: &'a [f64],
    dim: usize,
    weights: Option<&'a [f64]>,
    /// Set when whoever asked for the work no longer wants it.
    stop: Option<&'a AtomicBool>,
}

/// Points that one task takes where several threads share the work; the sums over points do not depend on it.
const TASK: usize = 1024;

impl<'a> Points<'a> {
    /// Points from row-major `values` `[N,D]`.
    ///
    /// # Errors
    /// [`GmmError::Rows`] if there are no points or rows are ragged, [`GmmError::NotFinite`] if a value is not finite.
    pub fn new(values: &'a [f64], dim: usize) -> Result<Self, GmmError> {
        if dim == 0 || values.is_empty() || !values.len().is_multiple_of(dim) {
            return Err(GmmError::Rows { values: values.len(), dim });
        }
        if let Some(at) = values.iter().position(|v| !v.is_finite()) {
            return Err(GmmError::NotFinite { row: at / dim, column: at % dim });
        }
        Ok(Self { values, dim, weights: None, stop: None })
    }

    /// The same points; EM and k-means on them end soon after `stop` is set, and what they then give is of no use.
    pub fn until(self, stop: &'a AtomicBool) -> Self {
        Self { stop: Some(stop), ..self }
    }

    /// Whether work on the points is no longer wanted.
    pub fn is_stopped(&self) -> bool {
        self.stop.is_some_and(|stop| stop.load(Ordering::Relaxed))
    }

    /// The same points with weights `[N]`: how often each counts.
    ///
    /// # Errors
    /// [`GmmError::Weights`] if there are not as many weights as points or none is above 0, [`GmmError::Weight`] if one
    /// is negative or not finite.
    pub fn weighted(self, weights: &'a [f64]) -> Result<Self, GmmError> {
        if let Some(row) = weights.iter().position(|w| !(w.is_finite() && *w >= 0.0)) {
            return Err(GmmError::Weight { row });
        }
        if weights.len() != self.len() || weights.iter().all(|w| *w == 0.0) {
            return Err(GmmError::Weights { weights: weights.len(), points: self.len() });
        }
        Ok(Self { weights: Some(weights), ..self })
    }

    /// Weight of point `n`.
    ///
    /// # Panics
    /// If `n` is not below [`Points::len`].
    pub fn weight(&self, n: usize) -> f64 {
        self.weights.map_or(1.0, |weights| weights[n])
    }

    /// The weights of the points, one after another.
    pub fn weights(&self) -> impl Iterator<Item = f64> + use<'a> {
        let points = *self;
        (0..points.len()).map(move |n| points.weight(n))
    }

    /// Sum of the weights; N without any.
    pub fn total_weight(&self) -> f64 {
        self.weights.map_or(self.len() as f64, |weights| weights.iter().sum())
    }

    /// Other points, as many, of the same dimensions and weights.
    ///
    /// # Errors
    /// [`GmmError::Rows`] if they are not as many, [`GmmError::NotFinite`] if a value is not finite.
    pub fn with_values<'b>(&self, values: &'b [f64]) -> Result<Points<'b>, GmmError>
    where
        'a: 'b,
    {
        if values.len() != self.values.len() {
            return Err(GmmError::Rows { values: values.len(), dim: self.dim });
        }
        Ok(Points { weights: self.weights, stop: self.stop, ..Points::new(values, self.dim)? })
    }

    /// Number of different points of a weight above 0, as far as `most`.
    pub fn distinct(&self, most: usize) -> usize {
        let mut seen = HashSet::new();
        for (x, weight) in self.rows().zip(self.weights()) {
            if seen.len() >= most {
                break;
            }
            if weight > 0.0 {
                // Adding 0 makes 0 of -0, which is the same number of other bits.
                seen.insert(x.iter().map(|v| (v + 0.0).to_bits()).collect::<Vec<_>>());
            }
        }
        seen.len()
    }

    /// Number of points N.
    pub fn len(&self) -> usize {
        self.values.len() / self.dim
    }

    /// True if there is no point; [`Points::new`] refuses that.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Number of dimensions D.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The points, one after another.
    pub fn rows(&self) -> std::slice::ChunksExact<'a, f64> {
        self.values.chunks_exact(self.dim)
    }

    /// The points, for several threads.
    fn par_rows(&self) -> impl IndexedParallelIterator<Item = &'a [f64]> + use<'a> {
        self.values.par_chunks_exact(self.dim).with_min_len(TASK)
    }

    /// The values of point `n` `[D]`.
    ///
    /// # Panics
    /// If `n` is not below [`Points::len`].
    pub fn row(&self, n: usize) -> &'a [f64] {
        &self.values[n * self.dim..(n + 1) * self.dim]
    }
}

/// Weights, means and covariances of K components.
#[derive(Clone, Debug)]
pub struct Mixture {
    /// Weights π_k, non-negative, summing to 1 `[K]`.
    pub weights: Vec<f64>,
    /// Means μ_k of the components `[K,D]`.
    pub means: Vec<f64>,
    /// Covariances Σ_k of the components `[K]`.
    pub covariances: Vec<Covariance>,
}

/// Mean and isotropic variance of each component: what the prior p(z|c) takes over.
#[derive(Clone, Debug)]
pub struct Moments {
    /// Means of the components `[K,D]`.
    pub means: Vec<f64>,
    /// Variance of each component, averaged over dimensions `[K]`.
    pub variances: Vec<f64>,
}

impl Moments {
    /// The cluster prior that maximises eq. (6.1) given q(c|x) and q(z|x) (E14).
    ///
    /// μ_c = Σ_n q_nc m_n / Σ_n q_nc and σ_c² = Σ_n q_nc (‖m_n - μ_c‖² + Σ_d v_nd) / (D Σ_n q_nc):
    /// the only term with the prior in it is Σ_n Σ_c q_nc E_q log p(z|c), and this is where its
    /// derivatives by μ_c and by σ_c² are 0. Without v a cluster could be narrower than the
    /// posteriors in it, and the bound would push them apart.
    ///
    /// Two walks over the frames, first the means and then the squares around them. A cluster
    /// without frames gets the least positive variance.
    ///
    /// # Shapes
    /// - `means`: m `[N,D]`; `total_variances`: Σ_d v_nd `[N]`; `responsibilities`: q(c|x) `[N,K]`;
    ///   `k`: K
    pub fn of_clusters(means: Points<'_>, total_variances: &[f64], responsibilities: &[f64], k: usize) -> Self {
        let d = means.dim();
        let mut counts = vec![f64::MIN_POSITIVE; k];
        let mut centres = vec![0.0; k * d];
        for (m, row) in means.rows().zip(responsibilities.chunks_exact(k)) {
            for (c, &q) in row.iter().enumerate() {
                counts[c] += q;
                centres[c * d..(c + 1) * d].iter_mut().zip(m).for_each(|(s, m)| *s += q * m);
            }
        }
        for (centre, count) in centres.chunks_exact_mut(d).zip(&counts) {
            centre.iter_mut().for_each(|m| *m /= count);
        }
        let mut variances = vec![0.0; k];
        for ((m, v), row) in means.rows().zip(total_variances).zip(responsibilities.chunks_exact(k)) {
            for (c, &q) in row.iter().enumerate() {
                let distance: f64 = m.iter().zip(&centres[c * d..]).map(|(m, c)| (m - c) * (m - c)).sum();
                variances[c] += q * (distance + v);
            }
        }
        for (variance, count) in variances.iter_mut().zip(&counts) {
            *variance = (*variance / (d as f64 * count)).max(f64::MIN_POSITIVE);
        }
        Self { means: centres, variances }
    }
}

impl Mixture {
    /// Number of components K.
    pub fn components(&self) -> usize {
        self.weights.len()
    }

    /// Number of dimensions D.
    pub fn dim(&self) -> usize {
        self.means.len() / self.weights.len()
    }

    /// Mean of component `k` `[D]`.
    ///
    /// # Panics
    /// If `k` is not below [`Mixture::components`].
    pub fn mean(&self, k: usize) -> &[f64] {
        let d = self.dim();
        &self.means[k * d..(k + 1) * d]
    }

    /// Number of free parameters, as counted by BIC and AIC.
    pub fn free_parameters(&self) -> usize {
        let d = self.dim();
        let of_covariances = match &self.covariances[..] {
            [] => 0,
            [Covariance::Tied(_), ..] => self.covariances[0].free_parameters(d),
            [first, ..] => self.components() * first.free_parameters(d),
        };
        self.components() * d + of_covariances + self.components() - 1
    }
}
