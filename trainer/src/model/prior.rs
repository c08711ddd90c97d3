//! p(z|c) = N(μ_c, σ_c² I) with learned μ_c and σ_c; p(c) = 1/K.

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
}

impl Prior {
    /// Random means and unit variances; the mixture of stage 2 replaces both.
    pub fn new(clusters: usize, latent: usize, init: &mut Init<'_>) -> Self {
        Self { mu_c: init.uniform([clusters, latent], 1.0), log_var_c: init.param(vec![0.0; clusters], [clusters]) }
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
        Self { mu_c: renamed(mu_c, self.mu_c.id), log_var_c: renamed(log_var_c, self.log_var_c.id) }
    }
}
