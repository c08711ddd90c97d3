//! The numbers that readers give: f32 for frames, f64 for tables.

use std::fmt::Display;

/// A number that a reader makes of what stands in a file.
pub trait Value: Copy + Display + Into<f64> {
    /// Name of this precision, in words.
    const PRECISION: &'static str;

    /// A number, given in single precision and in double; this type takes the one that it holds.
    fn of(single: f32, double: f64) -> Self;
    /// A pixel as a share of white.
    fn share(pixel: f32, white: f64) -> Self;
    /// True if the number is neither NaN nor infinite.
    fn is_finite(self) -> bool;
}

impl Value for f32 {
    const PRECISION: &'static str = "single precision (3.4e38)";

    fn of(single: f32, _: f64) -> Self {
        single
    }

    fn share(pixel: f32, white: f64) -> Self {
        pixel / white as Self
    }

    fn is_finite(self) -> bool {
        self.is_finite()
    }
}

impl Value for f64 {
    const PRECISION: &'static str = "double precision (1.8e308)";

    fn of(_: f32, double: f64) -> Self {
        double
    }

    fn share(pixel: f32, white: f64) -> Self {
        Self::from(pixel) / white
    }

    fn is_finite(self) -> bool {
        self.is_finite()
    }
}
