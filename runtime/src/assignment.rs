//! The answer of an engine to a frame.

use heapless::Vec;

use crate::head::exp;

/// Most clusters K a model may have; it bounds the size of an [`Assignment`].
pub const MAX_CLUSTERS: usize = 64;

/// The answer of an engine to a frame: its cluster, how sure that is, and how novel the frame is.
///
/// It holds no memory of the heap.
#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    /// The most probable cluster, 0..K.
    pub cluster: usize,
    /// The probability q(c|x) of the most probable cluster, in (0, 1].
    pub confidence: f32,
    /// The second most probable cluster; None if K is 1.
    pub runner_up: Option<usize>,
    /// Negative log-likelihood -log Σ_c exp(e_c)/K of the frame's latent under the mixture, nats: large for frames unlike
    /// those of training. [`crate::Head::assign`] says what e_c is. A model with a decoder adds what [`crate::Dispersion`]
    /// counts.
    pub novelty: f32,
    /// True if `novelty` is past the threshold calibrated at training.
    pub is_novel: bool,
    /// True if a value of the frame lies outside the range of values seen in training ([`crate::ValueRange`]), so that
    /// the rest is not to be trusted; false where the model does not say what that was, and from a [`crate::Head`]
    /// alone, which sees no frame.
    pub is_outside: bool,
    /// log q(c|x) of every cluster `[K]`, nats.
    pub log_responsibilities: Vec<f32, MAX_CLUSTERS>,
}

impl Assignment {
    /// The probability q(c|x) of every cluster, in order.
    pub fn responsibilities(&self) -> impl Iterator<Item = f32> + '_ {
        self.log_responsibilities.iter().map(|&log_q| exp(log_q))
    }
}
