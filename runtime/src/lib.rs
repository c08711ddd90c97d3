#![cfg_attr(feature = "tract", doc = include_str!("../README.md"))]
#![cfg_attr(
    not(feature = "tract"),
    doc = "Cluster inference on the device: which cluster a frame belongs to, how sure that is, how novel it is. README.md \
           beside this crate says more."
)]
//!
//! ## Modules
//!
//! [`flash`] reads and writes flash images, [`native`] runs them, `onnx` runs ONNX files. [`kernels`] and [`layer`] are
//! inner: the engines are built from them, and tests and benches look at them.
#![cfg_attr(not(any(feature = "std", test)), no_std)]

mod assignment;
mod dispersion;
pub mod flash;
mod frame;
mod frontend;
mod head;
pub mod kernels;
pub mod layer;
pub mod native;
#[cfg(feature = "tract")]
pub mod onnx;
mod range;
mod windowing;

pub use assignment::{Assignment, MAX_CLUSTERS};
pub use dispersion::Dispersion;
pub use frame::{FrameError, FrameShape, check_frame};
pub use frontend::{
    Feature, FrontEnd, LENGTHS as FRONT_END_LENGTHS, LogMel, MAX_COLOURS, Measure, Spectral, Steps, Tone,
};
#[cfg(feature = "std")]
pub use frontend::{FrontEndSpec, LogMelSpec, SpectralSpec};
#[cfg(feature = "std")]
#[doc(hidden)]
pub use frontend::{LEAN, SQUARINGS};
pub use head::{Calibration, Head, HeadError};
#[cfg(feature = "tract")]
pub use onnx::{Engine, ExplainError, Explanation, LoadError, Precision};
pub use range::{Outside, ValueRange};
pub use windowing::Windowing;
