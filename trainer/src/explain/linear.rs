//! The maps of the mixture on the values themselves (`encoder.kind = identity`), in closed form.
//!
//! Its encoder loses nothing, so every value is its own reconstruction under any cluster, and the maps of a network would
//! be blank. What speaks there is the Gaussian of the cluster, Σ_c⁻¹ = W Wᵀ/s_c with W the encoder's weights `[P,P]`:
//! with d = x - m_c, the parts d_p (Σ_c⁻¹ d)_p add up to the squared distance dᵀ Σ_c⁻¹ d, and each is the Shapley value of
//! its feature, the mean of the cluster standing in for the features left out (M. Sundararajan, A. Najmi, *The Many
//! Shapley Values for Model Explanation*, 2020). Trust, surprise and reconstruction foretell a value from the others:
//! given those, x_p is Gaussian with variance 1/(Σ_c⁻¹)_pp around x_p - (Σ_c⁻¹ d)_p/(Σ_c⁻¹)_pp.

use burn::tensor::{Int, Tensor};

use crate::model::{ClusterVae, Posterior};

/// Frames beside one cluster each.
struct Beside {
    /// d_p (Σ_c⁻¹ d)_p `[B,P]`, which sum to the squared distance.
    parts: Tensor<2>,
    /// (Σ_c⁻¹ d)_p/(Σ_c⁻¹)_pp: how far a value is from what the others foretell `[B,P]`.
    error: Tensor<2>,
    /// That error in standard deviations, squared `[B,P]`.
    standardised: Tensor<2>,
    /// D log s_c of the cluster less twice log K p(c), spread over the values `[B,1]`.
    share: Tensor<2>,
}

impl Beside {
    fn new(model: &ClusterVae, x: Tensor<2>, posterior: &Posterior, cluster: Tensor<1, Int>) -> Self {
        let [b, p] = x.dims();
        let prior = &model.prior;
        let weight = model.encoder.mu.weight.val();
        let centre = prior.mu_c.val().select(0, cluster.clone());
        let log_scale = prior.log_var_c.val().select(0, cluster.clone()).reshape([b, 1]);
        let precision = log_scale.clone().neg().exp();
        // Σ_c⁻¹ d = W Wᵀ d/s_c, and Wᵀ d is the difference in z.
        let pulled = (posterior.mu_z.clone() - centre.clone()).matmul(weight.clone().transpose()) * precision.clone();
        let own = weight.square().sum_dim(1).transpose() * precision;
        let mean = model.decoder.mean(model.decoder.forward_of(centre, cluster.clone()));
        let latent = posterior.mu_z.dims()[1] as f64;
        let spread = match prior.log_weights() {
            Some(weights) => log_scale * latent - weights.transpose().select(0, cluster) * 2.0,
            None => log_scale * latent,
        };
        Self {
            parts: (x - mean) * pulled.clone(),
            error: pulled.clone() / own.clone(),
            standardised: pulled.square() / own,
            share: spread / p as f64,
        }
    }
}

/// The maps of frames, all `[B,P]`.
pub struct Maps {
    /// What the other values foretell under c₁, scaled as the frames are.
    pub reconstruction: Tensor<2>,
    /// exp(-½ r²), r the error of that in standard deviations.
    pub trust: Tensor<2>,
    /// Evidence for c₁ and against c₂, nats; sums to log q(c₁|x) - log q(c₂|x) before the temperature.
    pub contrast: Tensor<2>,
    /// ½ r² less its mean ½, over its standard deviation √½.
    pub surprise: Tensor<2>,
}

/// Explains frames `x` `[B,P]`, scaled, by clusters c₁ and c₂ `[B]`.
pub fn maps(
    model: &ClusterVae,
    x: Tensor<2>,
    posterior: &Posterior,
    first: Tensor<1, Int>,
    second: Tensor<1, Int>,
) -> Maps {
    let [first, second] = [first, second].map(|cluster| Beside::new(model, x.clone(), posterior, cluster));
    let cost = |beside: &Beside| beside.parts.clone() + beside.share.clone();
    Maps {
        reconstruction: x - first.error.clone(),
        trust: (first.standardised.clone() * -0.5).exp(),
        contrast: (cost(&second) - cost(&first)) * 0.5,
        surprise: (first.standardised * 0.5 - 0.5) / 0.5f64.sqrt(),
    }
}
