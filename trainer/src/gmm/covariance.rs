//! The four families of covariance, and the density of a Gaussian with each.

use std::f64::consts::PI;

use nalgebra::{Cholesky, DMatrix, DVector, SymmetricEigen};

/// Family that the covariances of a mixture belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum CovarianceType {
    /// Any symmetric positive definite matrix.
    Full,
    /// One symmetric positive definite matrix, the same for every component.
    Tied,
    /// One variance a dimension.
    Diagonal,
    /// One variance, σ² I.
    Isotropic,
}

/// Covariance of one component, in the form of its family.
#[derive(Clone, Debug)]
pub enum Covariance {
    /// Symmetric positive definite matrix `[D,D]`.
    Full(DMatrix<f64>),
    /// Symmetric positive definite matrix `[D,D]` that every component of the mixture has.
    Tied(DMatrix<f64>),
    /// Variances of the dimensions `[D]`; nothing beside the diagonal.
    Diagonal(Vec<f64>),
    /// The one variance σ² of σ² I.
    Isotropic(f64),
}

impl Covariance {
    /// Sum of the variances over `d` dimensions.
    pub fn trace(&self, d: usize) -> f64 {
        match self {
            Self::Full(m) | Self::Tied(m) => m.trace(),
            Self::Diagonal(v) => v.iter().sum(),
            Self::Isotropic(v) => v * d as f64,
        }
    }

    /// The linear combination a · self + b · other, of the same family.
    ///
    /// # Panics
    /// If the families differ.
    pub fn sum(&self, a: f64, other: &Self, b: f64) -> Self {
        match (self, other) {
            (Self::Full(m), Self::Full(n)) => Self::Full(m * a + n * b),
            (Self::Tied(m), Self::Tied(n)) => Self::Tied(m * a + n * b),
            (Self::Diagonal(v), Self::Diagonal(w)) => {
                Self::Diagonal(v.iter().zip(w).map(|(v, w)| a * v + b * w).collect())
            }
            (Self::Isotropic(v), Self::Isotropic(w)) => Self::Isotropic(a * v + b * w),
            _ => unreachable!("the covariances of a mixture are of one family"),
        }
    }

    /// The same, times `factor`.
    pub fn scaled(&self, factor: f64) -> Self {
        match self {
            Self::Full(m) => Self::Full(m * factor),
            Self::Tied(m) => Self::Tied(m * factor),
            Self::Diagonal(v) => Self::Diagonal(v.iter().map(|v| v * factor).collect()),
            Self::Isotropic(v) => Self::Isotropic(v * factor),
        }
    }

    /// The same with `amount` added to every variance.
    pub fn with_added(mut self, amount: f64) -> Self {
        match &mut self {
            Self::Full(m) | Self::Tied(m) => (0..m.nrows()).for_each(|i| m[(i, i)] += amount),
            Self::Diagonal(v) => v.iter_mut().for_each(|v| *v += amount),
            Self::Isotropic(v) => *v += amount,
        }
        self
    }

    /// A mean scatter as a covariance: that of the isotropic family is a sum over `d` dimensions.
    pub(super) fn scatter_to_covariance(self, d: usize) -> Self {
        match self {
            Self::Isotropic(v) => Self::Isotropic(v / d as f64),
            other => other,
        }
    }

    /// tr(S Σ⁻¹) of this scatter S for a covariance Σ of the same family; NaN if Σ is not positive definite.
    pub(super) fn trace_over(&self, covariance: &Self) -> f64 {
        match (self, covariance) {
            (Self::Full(s), Self::Full(m)) | (Self::Tied(s), Self::Tied(m)) => {
                Cholesky::new(m.clone()).map_or(f64::NAN, |factor| factor.solve(s).trace())
            }
            (Self::Diagonal(s), Self::Diagonal(v)) => s.iter().zip(v).map(|(s, v)| s / v).sum(),
            (Self::Isotropic(s), Self::Isotropic(v)) => s / v,
            _ => unreachable!("the covariances of a mixture are of one family"),
        }
    }

    /// The covariance of points whose dimensions are multiplied by `factors` `[D]`, of the same family.
    ///
    /// # Panics
    /// If the covariance is isotropic and the factors are not all the same.
    pub fn stretched(&self, factors: &[f64]) -> Self {
        let matrix = |m: &DMatrix<f64>| m.map_with_location(|i, j, v| v * factors[i] * factors[j]);
        match self {
            Self::Full(m) => Self::Full(matrix(m)),
            Self::Tied(m) => Self::Tied(matrix(m)),
            Self::Diagonal(v) => Self::Diagonal(v.iter().zip(factors).map(|(v, f)| v * f * f).collect()),
            Self::Isotropic(v) => {
                assert!(factors.iter().all(|f| *f == factors[0]), "an isotropic covariance has one scale");
                Self::Isotropic(v * factors[0] * factors[0])
            }
        }
    }

    /// The least variance along any direction.
    pub fn least_variance(&self) -> f64 {
        match self {
            Self::Full(m) | Self::Tied(m) => SymmetricEigen::new(m.clone()).eigenvalues.min(),
            Self::Diagonal(v) => v.iter().copied().fold(f64::INFINITY, f64::min),
            Self::Isotropic(v) => *v,
        }
    }

    /// Number of free parameters in `d` dimensions; those of a tied covariance are there once for all components.
    pub fn free_parameters(&self, d: usize) -> usize {
        match self {
            Self::Full(_) | Self::Tied(_) => d * (d + 1) / 2,
            Self::Diagonal(_) => d,
            Self::Isotropic(_) => 1,
        }
    }

    /// The matrix `[D,D]` row-major.
    pub fn to_rows(&self, d: usize) -> Vec<Vec<f64>> {
        let entry = |i: usize, j: usize| match self {
            Self::Full(m) | Self::Tied(m) => m[(i, j)],
            Self::Diagonal(v) if i == j => v[i],
            Self::Isotropic(v) if i == j => *v,
            _ => 0.0,
        };
        (0..d).map(|i| (0..d).map(|j| entry(i, j)).collect()).collect()
    }

    /// The covariance of a family from its matrix `[D,D]`, row-major; what the family has no place for is left out.
    pub fn from_rows(kind: CovarianceType, rows: &[Vec<f64>]) -> Self {
        let matrix = || DMatrix::from_fn(rows.len(), rows.len(), |i, j| rows[i][j]);
        match kind {
            CovarianceType::Full => Self::Full(matrix()),
            CovarianceType::Tied => Self::Tied(matrix()),
            CovarianceType::Diagonal => Self::Diagonal((0..rows.len()).map(|i| rows[i][i]).collect()),
            CovarianceType::Isotropic => Self::Isotropic(rows[0][0]),
        }
    }

    /// The matrix `[D,D]`.
    pub fn to_matrix(&self, d: usize) -> DMatrix<f64> {
        match self {
            Self::Full(m) | Self::Tied(m) => m.clone(),
            Self::Diagonal(v) => DMatrix::from_diagonal(&DVector::from_column_slice(v)),
            Self::Isotropic(v) => DMatrix::identity(d, d) * *v,
        }
    }

    /// A map W with Σ⁻¹ = Wᵀ W, and log det Σ; None if Σ is not positive definite.
    ///
    /// A full Σ is factored once, Σ = L Lᵀ (Cholesky), and W = L⁻¹ is again a lower triangle; log
    /// det Σ = 2 Σ_i log L_ii. Then every density costs one triangular product, D²/2 multiply-adds,
    /// and no solution of equations.
    pub fn whitening(&self, d: usize) -> Option<(Whitening, f64)> {
        let positive = |v: f64| (v > 0.0 && v.is_finite()).then_some(v);
        match self {
            Self::Full(m) | Self::Tied(m) => {
                let lower = Cholesky::new(m.clone())?.l();
                let log_det = 2.0 * lower.diagonal().iter().map(|v| v.ln()).sum::<f64>();
                let inverse = lower.solve_lower_triangular(&DMatrix::identity(d, d))?;
                let rows = (0..d).flat_map(|i| (0..=i).map(move |j| (i, j))).map(|ij| inverse[ij]).collect();
                log_det.is_finite().then_some((Whitening::LowerTriangle(rows), log_det))
            }
            Self::Diagonal(v) => {
                let scale = v.iter().map(|&v| positive(v).map(|v| v.sqrt().recip())).collect::<Option<_>>()?;
                Some((Whitening::Diagonal(scale), v.iter().map(|v| v.ln()).sum()))
            }
            Self::Isotropic(v) => {
                let v = positive(*v)?;
                Some((Whitening::Diagonal(vec![v.sqrt().recip(); d]), d as f64 * v.ln()))
            }
        }
    }
}

/// A linear map that makes a component's points uncorrelated with variance 1.
#[derive(Clone, Debug)]
pub enum Whitening {
    /// Rows of a lower triangle, one after another `[D(D+1)/2]`.
    LowerTriangle(Vec<f64>),
    /// One factor for each dimension `[D]`.
    Diagonal(Vec<f64>),
}

impl Whitening {
    /// Squared Mahalanobis distance ‖W (x - mean)‖²; `difference` is room for D values.
    pub fn squared_distance(&self, x: &[f64], mean: &[f64], difference: &mut [f64]) -> f64 {
        for ((d, x), m) in difference.iter_mut().zip(x).zip(mean) {
            *d = x - m;
        }
        match self {
            Self::LowerTriangle(rows) => {
                let mut start = 0;
                let mut sum = 0.0;
                for i in 0..difference.len() {
                    let row = &rows[start..=start + i];
                    let y: f64 = row.iter().zip(&*difference).map(|(w, d)| w * d).sum();
                    sum += y * y;
                    start += i + 1;
                }
                sum
            }
            Self::Diagonal(scale) => scale.iter().zip(difference).map(|(s, d)| (s * *d).powi(2)).sum(),
        }
    }
}

/// Log-density log N(x; μ, Σ), nats, from the squared Mahalanobis distance and log det Σ.
pub fn log_density(squared_distance: f64, log_det: f64, d: usize) -> f64 {
    -0.5 * (squared_distance + log_det + d as f64 * (2.0 * PI).ln())
}
