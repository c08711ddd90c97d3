//! The amortised critic: a network of at most 20,000 parameters that gives the trust map
//! ([`crate::explain::trust`]) in one pass from the latent mean, where the exact map takes 2D
//! passes of the decoder.
//!
//! It is trained after the fit, on frames and exact maps alone: it sees no label and changes
//! nothing of the model.

mod measure;
mod network;
mod train;

pub use measure::{Agreement, agreement, exact, native};
pub use network::{Critic, MAX_PARAMETERS, Network, factor};
pub use train::{STEPS, train};
