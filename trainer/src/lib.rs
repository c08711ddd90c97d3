//! Fits the cluster VAE q(z,c|x) = q(c|x) q(z|x), p(x,z,c) = p(x|z,c) p(z|c) p(c)
//! to unlabelled frames and exports what the device needs.
//!
//! The modules follow the dataflow: [`data`] → [`model`] → [`elbo`] → [`fit`]
//! (with [`gmm`] for the start of the prior) → [`eval`] → [`export`];
//! [`explain`] says why a frame went to its cluster, [`prototypes`] what a cluster
//! stands for, [`quality`] what is claimed of both, and [`report`] shows it all.
//!
//! Symbols, as in the seed paper: `x` frame, `z` latent, `c` cluster;
//! B batch, K clusters, D latent dimensions, P values per frame.

pub mod frame;
pub mod gmm;
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

pub mod model;

pub mod fitted;

pub mod explain;
pub mod fit;

pub mod critic;
pub mod eval;
pub mod prototypes;

pub mod run;

pub mod export;

pub mod quality;
pub mod report;

pub use error::{Error, Result};
