#![doc = include_str!("../README.md")]
//!
//! # Floors
//!
//! The modules below stand on floors, lowest first in this file, and each uses only floors below its own. Symbols, as in
//! *XAI: Cluster Variational Inference Reports*: `x` frame, `z` latent, `c` cluster; B batch, K clusters, D latent
//! dimensions, P values per frame.

pub mod frame;
pub mod gmm;
pub mod matching;
pub mod ranking;
pub mod rng;
pub mod stage;

pub mod error;

pub mod device;
pub mod files;

pub mod config;
pub mod cpu;
pub mod elbo;

pub mod data;

pub mod fleet;
pub mod model;

pub mod fitted;

pub mod explain;
pub mod fit;

pub mod critic;
pub mod eval;
pub mod prototypes;

pub mod timelines;

pub mod run;

pub mod export;

pub mod compare;

pub mod quality;
pub mod report;

pub use config::{CheckedConfig, Config};
pub use data::Frames;
pub use error::{Error, Result};
pub use eval::evaluate;
pub use explain::explain;
pub use export::export;
pub use fit::fit;
pub use fitted::Fitted;
pub use frame::FrameShape;
