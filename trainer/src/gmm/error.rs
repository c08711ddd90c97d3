//! Why a mixture cannot be fitted.

/// A mixture cannot be fitted to these points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GmmError {
    /// The values do not make whole points, or there are none.
    #[error("{values} values do not make rows of {dim}")]
    Rows {
        /// Number of values.
        values: usize,
        /// Dimensions D that were asked for.
        dim: usize,
    },
    /// A value is NaN or infinite.
    #[error("row {row}, column {column} is not finite")]
    NotFinite {
        /// Index of the point, from 0.
        row: usize,
        /// Index of the dimension, from 0.
        column: usize,
    },
    /// There are fewer points than components.
    #[error("{components} components for {points} points, expected at most one a point")]
    FewPoints {
        /// Components K that were asked for.
        components: usize,
        /// Number of points N.
        points: usize,
    },
    /// No start kept its covariances positive definite.
    #[error("a covariance became singular in every start")]
    Singular,
}
