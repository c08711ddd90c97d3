//! A mixture of the rows of a table, as it is kept in a file.
//!
//! It is kept of scaled rows, with the scale beside it, so that rows of large offsets get from the file the densities that
//! they had when it was fitted.

use serde::{Deserialize, Serialize};

use super::{Covariance, CovarianceType, EStep, GmmError, Mixture, Points, Scale, e_step};

/// Version of the file; another is refused.
const VERSION: u32 = 1;

/// A mixture of the rows of a table.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Saved", into = "Saved")]
pub struct TableMixture {
    /// Names of the columns `[D]`; None if the table had no header.
    pub columns: Option<Vec<String>>,
    /// Family of the covariances.
    pub covariance: CovarianceType,
    /// What scales a row.
    pub scale: Scale,
    /// The mixture of scaled rows.
    pub mixture: Mixture,
}

impl TableMixture {
    /// Responsibilities, and densities in the units of the data, of unscaled `points`.
    ///
    /// # Errors
    /// [`GmmError::Columns`] if points have another number of dimensions, [`GmmError::NotFinite`] if a value is too
    /// far away to be scaled, [`GmmError::Singular`] if a covariance is not positive definite.
    pub fn e_step(&self, points: Points<'_>) -> Result<EStep, GmmError> {
        let d = self.mixture.dim();
        if points.dim() != d {
            return Err(GmmError::Columns { columns: points.dim(), expected: d });
        }
        let scaled = self.scale.apply(points);
        let scaled = points.with_values(&scaled)?;
        let seen = e_step(scaled, &self.mixture).ok_or(GmmError::Singular)?;
        Ok(self.scale.undo_densities(scaled, seen))
    }

    /// The mixture in the units of the data.
    pub fn in_units_of_data(&self) -> Mixture {
        self.scale.undo(&self.mixture)
    }
}

/// What stands in the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    version: u32,
    columns: Option<Vec<String>>,
    covariance: CovarianceType,
    scale: Scale,
    /// `[K]`.
    weights: Vec<f64>,
    /// Of scaled rows `[K,D]`.
    means: Vec<Vec<f64>>,
    /// Of scaled rows `[K,D,D]`; of tied ones `[1,D,D]`.
    covariances: Vec<Vec<Vec<f64>>>,
}

impl From<TableMixture> for Saved {
    fn from(table: TableMixture) -> Self {
        let TableMixture { columns, covariance, scale, mixture } = table;
        let d = mixture.dim();
        let distinct = if covariance == CovarianceType::Tied { 1 } else { mixture.components() };
        Self {
            version: VERSION,
            columns,
            covariance,
            scale,
            means: mixture.means.chunks_exact(d).map(<[f64]>::to_vec).collect(),
            covariances: mixture.covariances[..distinct].iter().map(|c| c.to_rows(d)).collect(),
            weights: mixture.weights,
        }
    }
}

impl TryFrom<Saved> for TableMixture {
    type Error = String;

    fn try_from(saved: Saved) -> Result<Self, String> {
        let Saved { version, columns, covariance, scale, weights, means, covariances } = saved;
        if version != VERSION {
            return Err(format!("version {version}, expected {VERSION}: fit the mixture again"));
        }
        let (k, d) = (weights.len(), scale.shift.len());
        let distinct = if covariance == CovarianceType::Tied { 1 } else { k };
        let fits = k > 0
            && d > 0
            && scale.deviation.len() == d
            && columns.as_ref().is_none_or(|names| names.len() == d)
            && means.len() == k
            && means.iter().all(|mean| mean.len() == d)
            && covariances.len() == distinct
            && covariances.iter().all(|rows| rows.len() == d && rows.iter().all(|row| row.len() == d));
        if !fits {
            return Err(format!("its sizes do not fit {k} components of {d} columns"));
        }
        let sum: f64 = weights.iter().sum();
        let positive = |v: &f64| v.is_finite() && *v > 0.0;
        let sound = weights.iter().all(|w| *w >= 0.0)
            && (sum - 1.0).abs() < 1e-6
            && scale.deviation.iter().all(positive)
            && scale.shift.iter().chain(means.iter().flatten()).all(|v| v.is_finite());
        if !sound {
            return Err("a weight, mean or deviation is out of its range".into());
        }
        let mut covariances: Vec<Covariance> =
            covariances.iter().map(|rows| Covariance::from_rows(covariance, rows)).collect();
        if covariances.iter().any(|c| c.whitening(d).is_none()) {
            return Err("a covariance is not positive definite".into());
        }
        if covariance == CovarianceType::Tied {
            covariances = vec![covariances[0].clone(); k];
        }
        let mixture = Mixture { weights, means: means.concat(), covariances };
        Ok(Self { columns, covariance, scale, mixture })
    }
}
