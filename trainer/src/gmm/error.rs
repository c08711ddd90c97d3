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
    /// There are fewer different points than components.
    #[error("{components} components for {distinct} different rows, expected at most one a row that differs")]
    FewDistinct {
        /// Components K that were asked for.
        components: usize,
        /// Number of different points of a weight above 0.
        distinct: usize,
    },
    /// A weight is negative, NaN or infinite.
    #[error("the weight of row {row} is negative or not finite")]
    Weight {
        /// Index of the point, from 0.
        row: usize,
    },
    /// There are not as many weights as points, or none is above 0.
    #[error("{weights} weights for {points} points, expected one a point and one of them above 0")]
    Weights {
        /// Number of weights.
        weights: usize,
        /// Number of points N.
        points: usize,
    },
    /// Points have another number of dimensions than the mixture.
    #[error("{columns} columns, the mixture has {expected}")]
    Columns {
        /// Dimensions of the points.
        columns: usize,
        /// Dimensions D of the mixture.
        expected: usize,
    },
    /// No start kept its covariances positive definite.
    #[error("a covariance became singular in every start")]
    Singular,
}
