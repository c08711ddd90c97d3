//! Cluster inference on the device: which cluster a frame belongs to, how sure that is, how novel it is.
//!
//! The core needs neither `std` nor a heap: [`native::Engine`] runs a flash image ([`flash`]) where it lies. With the
//! feature `tract` (the default) [`Engine`] runs the ONNX file that `trainer export` writes. Both give the same
//! [`Assignment`].
//!
//! This crate knows nothing of training.
#![cfg_attr(not(any(feature = "std", test)), no_std)]

mod assignment;
pub mod flash;
mod frame;
mod head;
pub mod kernels;
pub mod layer;
pub mod native;
#[cfg(feature = "tract")]
pub mod onnx;

pub use assignment::{Assignment, MAX_CLUSTERS};
pub use frame::{FrameError, FrameShape, check_frame};
pub use head::{Calibration, Head, HeadError};
#[cfg(feature = "tract")]
pub use onnx::{Engine, ExplainError, Explanation, LoadError, Precision};
