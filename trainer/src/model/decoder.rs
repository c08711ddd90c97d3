//! p(x|z,c): dense layers that see c as a bias of the first, so that K clusters share its product
//! with z.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::activation::{relu, sigmoid};
use burn::tensor::{Int, Tensor};

use super::Init;
use crate::cpu;
use crate::elbo::reconstruction;
use crate::frame::FrameShape;

/// Most bytes of reconstructions under every cluster that are in memory together, unless one frame has more.
const MOST_BYTES: usize = 1 << 28;

/// Distribution of a value of the frame, decided once the data are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Likelihood {
    /// Values are means in `[0, 1]`.
    Bernoulli,
    /// One learned variance for all values.
    Gaussian,
}

/// The decoder network and its likelihood.
#[derive(Module, Debug)]
pub struct Decoder {
    /// First layer, its part that sees z.
    pub from_z: Linear,
    /// First layer, its part that sees c `[K,H]`.
    pub from_c: Param<Tensor<2>>,
    /// Hidden layers after the first.
    pub hidden: Vec<Linear>,
    /// Logits (Bernoulli) or means (Gaussian) of the P values.
    pub output: Linear,
    /// Logarithm of the Gaussian's variance `[1]`; unused by the Bernoulli.
    pub log_noise: Param<Tensor<1>>,
    /// Distribution that the output is the parameter of.
    #[module(skip)]
    pub likelihood: Likelihood,
}

impl Decoder {
    /// A decoder with random weights.
    pub fn new(
        hidden: &[usize],
        shape: FrameShape,
        latent: usize,
        clusters: usize,
        likelihood: Likelihood,
        init: &mut Init<'_>,
    ) -> Self {
        let bound = 1.0 / (latent as f32).sqrt();
        let from_z = init.linear(latent, hidden[0]);
        let from_c = init.uniform([clusters, hidden[0]], bound);
        let layers = hidden.windows(2).map(|w| init.linear(w[0], w[1])).collect();
        let output = init.linear(hidden[hidden.len() - 1], shape.len());
        let log_noise = init.param(vec![0.0], [1]);
        Self { from_z, from_c, hidden: layers, output, log_noise, likelihood }
    }

    /// Decodes z without a cluster, as stage 1 does.
    ///
    /// # Shapes
    /// - `z`: `[B,D]`
    /// - output: logits or means `[B,P]`
    pub fn forward(&self, z: Tensor<2>) -> Tensor<2> {
        self.layers(self.from_z.forward(z))
    }

    /// Decodes every z under every cluster.
    ///
    /// # Shapes
    /// - `z`: `[B,D]`
    /// - output: logits or means `[B,K,P]`
    pub fn forward_all(&self, z: Tensor<2>) -> Tensor<3> {
        let [b, _] = z.dims();
        let [k, h] = self.from_c.dims();
        let first = self.from_z.forward(z).unsqueeze_dim::<3>(1) + self.from_c.val().unsqueeze_dim::<3>(0);
        let out = self.layers(first.reshape([b * k, h]));
        let p = out.dims()[1];
        out.reshape([b, k, p])
    }

    /// Decodes every z under one cluster.
    ///
    /// # Shapes
    /// - `z`: `[B,D]`, `cluster`: `[B]`
    /// - output: logits or means `[B,P]`
    pub fn forward_of(&self, z: Tensor<2>, cluster: Tensor<1, Int>) -> Tensor<2> {
        self.layers(self.from_z.forward(z) + self.from_c.val().select(0, cluster))
    }

    /// Log-likelihood log p(x|z,c) for every c.
    ///
    /// # Shapes
    /// - `frames`: `[B,P]`, `z`: `[B,D]`
    /// - output: `[B,K]`, nats
    pub fn log_likelihood_all(&self, frames: Tensor<2>, z: Tensor<2>) -> Tensor<2> {
        let ([b, p], [k, _]) = (frames.dims(), self.from_c.dims());
        let at_once = (MOST_BYTES / (size_of::<f32>() * k * p)).max(1);
        if at_once >= b {
            return self.log_likelihood_of_some(frames, z);
        }
        let parts = frames.split(at_once, 0).into_iter().zip(z.split(at_once, 0));
        Tensor::cat(parts.map(|(frames, z)| self.log_likelihood_of_some(frames, z)).collect(), 0)
    }

    /// [`Decoder::log_likelihood_all`] of frames whose K reconstructions are in memory together.
    fn log_likelihood_of_some(&self, frames: Tensor<2>, z: Tensor<2>) -> Tensor<2> {
        let out = self.forward_all(z);
        if self.likelihood == Likelihood::Bernoulli && cpu::on_cpu(&out.device()) {
            let [b, k, p] = out.dims();
            return cpu::bernoulli(frames, out.reshape([b * k, p])).reshape([b, k]);
        }
        let frames = frames.unsqueeze_dim::<3>(1);
        self.log_density(frames, out).sum_dim(2).squeeze_dim::<2>(2)
    }

    /// Log-likelihood log p(x|z,c) for one c a frame.
    ///
    /// # Shapes
    /// - `frames`: `[B,P]`, `z`: `[B,D]`, `cluster`: `[B]`
    /// - output: `[B]`, nats
    pub fn log_likelihood_of(&self, frames: Tensor<2>, z: Tensor<2>, cluster: Tensor<1, Int>) -> Tensor<1> {
        self.log_likelihood_of_rows(frames, self.forward_of(z, cluster))
    }

    /// Log-likelihood log p(x|z) of stage 1, without a cluster.
    ///
    /// # Shapes
    /// - `frames`: `[B,P]`, `z`: `[B,D]`
    /// - output: `[B]`, nats
    pub fn log_likelihood(&self, frames: Tensor<2>, z: Tensor<2>) -> Tensor<1> {
        self.log_likelihood_of_rows(frames, self.forward(z))
    }

    /// Log-likelihood Σ_p log p(x_p) of each row `[B]`, from the output of a forward pass.
    fn log_likelihood_of_rows(&self, frames: Tensor<2>, out: Tensor<2>) -> Tensor<1> {
        if self.likelihood == Likelihood::Bernoulli && cpu::on_cpu(&out.device()) {
            return cpu::bernoulli(frames, out);
        }
        self.log_density(frames, out).sum_dim(1).squeeze_dim::<1>(1)
    }

    /// Log-density log p(x_p|z,c) of each value, from the output of a forward pass.
    ///
    /// # Shapes
    /// - `frames` broadcasts to `out`, which holds logits or means; output as `out`, nats
    pub fn log_density<const R: usize>(&self, frames: Tensor<R>, out: Tensor<R>) -> Tensor<R> {
        match self.likelihood {
            Likelihood::Bernoulli => reconstruction::log_bernoulli(frames, out),
            Likelihood::Gaussian => reconstruction::log_gaussian(frames, out, self.log_noise.val()),
        }
    }

    /// Mean of p(x_p|z,c) of each value, from the output of a forward pass; as `out`.
    pub fn mean<const R: usize>(&self, out: Tensor<R>) -> Tensor<R> {
        match self.likelihood {
            Likelihood::Bernoulli => sigmoid(out),
            Likelihood::Gaussian => out,
        }
    }

    /// The layers after the first, from its sum before ReLU `[B,H]` to logits or means `[B,P]`.
    fn layers(&self, first: Tensor<2>) -> Tensor<2> {
        let mut hidden = relu(first);
        for layer in &self.hidden {
            hidden = relu(layer.forward(hidden));
        }
        self.output.forward(hidden)
    }
}
