//! p(z|c) = N(μ_c, σ_c² I) with learned μ_c and σ_c; p(c) = 1/K, or learned too.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};

use super::Init;
use super::ids::renamed;
use crate::gmm::Moments;

/// The mixture prior of the latents.
#[derive(Module, Debug)]
pub struct Prior {
    /// Means μ_c of the clusters `[K,D]`.
    pub mu_c: Param<Tensor<2>>,
    /// Log-variances log σ_c² of the clusters `[K]`.
    pub log_var_c: Param<Tensor<1>>,
    /// log K p(c) `[K]`, 0 of an even share, where p(c) is learned: by EM, not by gradients.
    pub log_weights: Option<Param<Tensor<1>>>,
}

impl Prior {
    /// Random means, unit variances and even shares; the mixture of stage 2 replaces them.
    pub fn new(clusters: usize, latent: usize, learned_weights: bool, init: &mut Init<'_>) -> Self {
        Self {
            mu_c: init.uniform([clusters, latent], 1.0),
            log_var_c: init.param(vec![0.0; clusters], [clusters]),
            log_weights: learned_weights.then(|| init.param(vec![0.0; clusters], [clusters])),
        }
    }

    /// Number of clusters K.
    pub fn clusters(&self) -> usize {
        self.mu_c.dims()[0]
    }

    /// The prior with the mean and the isotropic variance of each component, its parameters called
    /// as before.
    pub fn with_moments(&self, moments: &Moments, device: &Device) -> Self {
        let (k, d) = (moments.variances.len(), moments.means.len() / moments.variances.len());
        let means: Vec<f32> = moments.means.iter().map(|&v| v as f32).collect();
        let log_vars: Vec<f32> = moments.variances.iter().map(|&v| v.ln() as f32).collect();
        let mu_c = Param::from_tensor(Tensor::from_data(TensorData::new(means, [k, d]), device));
        let log_var_c = Param::from_tensor(Tensor::from_data(TensorData::new(log_vars, [k]), device));
        Self {
            mu_c: renamed(mu_c, self.mu_c.id),
            log_var_c: renamed(log_var_c, self.log_var_c.id),
            log_weights: self.log_weights.clone(),
        }
    }

    /// The prior with p(c) = `weights` `[K]`, which sum to 1, its parameters called as before; as it is where p(c) is 1/K.
    pub fn with_weights(&self, weights: &[f64]) -> Self {
        let k = weights.len();
        let log: Vec<f32> = weights.iter().map(|w| (w * k as f64).ln() as f32).collect();
        let log_weights = self.log_weights.clone().map(|param| {
            let tensor = Tensor::from_data(TensorData::new(log, [k]), &param.val().device());
            renamed(Param::from_tensor(tensor), param.id)
        });
        Self { log_weights, ..self.clone() }
    }

    /// The prior with p(c) = 1/K that may be learned, a parameter called 0, since those of a model are numbered from 1.
    pub fn learning_weights(&self) -> Self {
        let even = Tensor::zeros([self.clusters()], &self.mu_c.val().device());
        Self { log_weights: Some(renamed(Param::from_tensor(even), 0.into())), ..self.clone() }
    }

    /// log K p(c) `[1,K]`, held fixed under the gradient; None where p(c) is 1/K.
    pub fn log_weights(&self) -> Option<Tensor<2>> {
        self.log_weights.as_ref().map(|param| param.val().detach().unsqueeze_dim::<2>(0))
    }
}
