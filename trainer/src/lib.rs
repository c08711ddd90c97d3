//! Fits the cluster VAE q(z,c|x) = q(c|x) q(z|x), p(x,z,c) = p(x|z,c) p(z|c) p(c)
//! to unlabelled frames and exports what the device needs.
//!
//! The modules follow the dataflow: [`data`] → [`model`] → [`elbo`] → [`fit`]
//! (with [`gmm`] for the start of the prior) → [`eval`] → [`export`];
//! [`critic`] says why a frame went to its cluster, [`prototypes`] what a cluster
//! stands for, [`quality`] what is claimed of both, and [`report`] shows it all.
//!
//! Symbols, as in *XAI: Cluster Variational Inference Reports* (J. Li, 2025): `x` frame, `z` latent, `c` cluster;
//! B batch, K clusters, D latent dimensions, P values per frame.

pub mod config;
pub mod critic;
pub mod data;
pub mod device;
pub mod elbo;
pub mod error;
pub mod eval;
pub mod export;
pub mod fit;
pub mod gmm;
pub mod kernels;
pub mod model;
pub mod prototypes;
pub mod quality;
pub mod report;
pub mod rng;
pub mod run;

pub use error::{Error, Result};
