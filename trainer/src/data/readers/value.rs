//! The numbers that readers give: f32 for frames, f64 for tables.

use std::fmt::Display;
use std::str::FromStr;

/// A number that a reader makes of what stands in a file.
pub trait Value: Copy + Display + FromStr {
    /// A byte: a pixel of a frame is a share of 255, in a table a byte is the number that it is.
    fn of_byte(byte: u8) -> Self;
    /// A number of single precision.
    fn of_f32(value: f32) -> Self;
    /// A number of double precision, rounded where this type has less.
    fn of_f64(value: f64) -> Self;
    /// True if the number is neither NaN nor infinite.
    fn is_finite(self) -> bool;
}

impl Value for f32 {
    fn of_byte(byte: u8) -> Self {
        Self::from(byte) / 255.0
    }

    fn of_f32(value: f32) -> Self {
        value
    }

    fn of_f64(value: f64) -> Self {
        value as Self
    }

    fn is_finite(self) -> bool {
        self.is_finite()
    }
}

impl Value for f64 {
    fn of_byte(byte: u8) -> Self {
        Self::from(byte)
    }

    fn of_f32(value: f32) -> Self {
        Self::from(value)
    }

    fn of_f64(value: f64) -> Self {
        value
    }

    fn is_finite(self) -> bool {
        self.is_finite()
    }
}
