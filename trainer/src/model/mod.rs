//! The cluster VAE: q(z|x), q(c|x), p(x|z,c), p(z|c), p(c). No configuration is read after
//! construction and no random number is drawn here but the initial weights.

mod decoder;
mod encoder;
mod identity;
mod ids;
mod init;
mod prior;

pub use decoder::{Decoder, Likelihood};
pub use encoder::{ConvBlock, DenseBlock, Encoder, LOG_VAR_RANGE, Posterior};
pub use identity::Whitened;
pub use init::Init;
pub use prior::Prior;

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::Tensor;
use burn::tensor::activation::log_softmax;

use crate::config::{CheckedConfig, ClusterPosterior, Weights};
use crate::elbo;
use crate::frame::FrameShape;

/// All learned parts of the model.
#[derive(Module, Debug)]
pub struct ClusterVae {
    /// Encoder q(z|x).
    pub encoder: Encoder,
    /// Decoder p(x|z,c).
    pub decoder: Decoder,
    /// Prior p(z|c) of the latent.
    pub prior: Prior,
    /// Amortised q(c|x), if it is learned: logits from the encoder's features, `[hidden, K]`.
    pub cluster_head: Option<Linear>,
}

impl ClusterVae {
    /// A model with random weights for frames of `shape`.
    pub fn new(config: &CheckedConfig, shape: FrameShape, likelihood: Likelihood, init: &mut Init<'_>) -> Self {
        let encoder = Encoder::new(&config.encoder, shape, config.kind(), config.latent, init);
        let decoder =
            Decoder::new(config.decoder.hidden.list(), shape, config.latent, config.clusters(), likelihood, init);
        let learned_weights = config.mixture.weights == Weights::Learned;
        let prior = Prior::new(config.clusters(), config.latent, learned_weights, init);
        let cluster_head = (config.cluster_posterior == ClusterPosterior::Amortised)
            .then(|| init.linear(encoder.features(), config.clusters()));
        ids::numbered(Self { encoder, decoder, prior, cluster_head })
    }

    /// The first `k` clusters alone, of a model that tracks gradients.
    pub fn keep_clusters(self, k: usize) -> Self {
        if self.prior.clusters() == k {
            return self;
        }
        // Without tracking, so that what is kept is a weight and not the result of an operation.
        let mut kept = self.valid();
        kept.decoder.from_c = kept.decoder.from_c.map(|rows| rows.narrow(0, 0, k));
        kept.prior.mu_c = kept.prior.mu_c.map(|rows| rows.narrow(0, 0, k));
        kept.prior.log_var_c = kept.prior.log_var_c.map(|values| values.narrow(0, 0, k));
        kept.prior.log_weights = kept.prior.log_weights.map(|log| log.map(|values| values.narrow(0, 0, k)));
        kept.cluster_head = kept.cluster_head.map(|mut head| {
            head.weight = head.weight.map(|columns| columns.narrow(1, 0, k));
            head.bias = head.bias.map(|bias| bias.map(|values| values.narrow(0, 0, k)));
            head
        });
        kept.train()
    }

    /// A copy that shares nothing with the model: clones have the running statistics of their normalisation in common, and
    /// training one moves the other's.
    pub fn copied(&self) -> Self {
        ids::numbered(self.clone())
    }

    /// The same model with a p(c) that is learned, and is 1/K as yet.
    pub fn learning_weights(mut self) -> Self {
        self.prior = self.prior.learning_weights();
        self
    }

    /// Log-probabilities log q(c|x) as the device computes them, from the encoder alone.
    ///
    /// The learned head where there is one, else the responsibilities of the latent mixture.
    ///
    /// # Shapes
    /// - `posterior`: of B frames
    /// - output: `[B,K]`, each row sums to 1 in probability
    pub fn log_responsibilities(&self, posterior: &Posterior) -> Tensor<2> {
        match &self.cluster_head {
            Some(head) => log_softmax(head.forward(posterior.features.clone()), 1),
            None => elbo::optimum::log_responsibilities(self.alignment(posterior)),
        }
    }

    /// Exponent e_c = E_q(z|x) log p(z|c) + log K p(c) of every cluster, `[B,K]`, nats: the latent alignment of
    /// [`elbo::alignment::per_cluster`], and the cluster's weight, where that is learned. With it in e_c, all that is
    /// written for p(c) = 1/K holds for any p(c).
    pub fn alignment(&self, posterior: &Posterior) -> Tensor<2> {
        let alignment = elbo::alignment::per_cluster(
            posterior.mu_z.clone(),
            posterior.log_var_z.clone(),
            self.prior.mu_c.val(),
            self.prior.log_var_c.val(),
        );
        self.weighted(alignment)
    }

    /// `of_clusters` `[B,K]` plus log K p(c) of each cluster.
    pub fn weighted(&self, of_clusters: Tensor<2>) -> Tensor<2> {
        match self.prior.log_weights() {
            Some(log_weights) => of_clusters + log_weights,
            None => of_clusters,
        }
    }
}
