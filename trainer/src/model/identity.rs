//! The cluster VAE whose encoder is a linear map: the mixture of section 5 on the values themselves.
//!
//! With covariances of one shape, Σ_c = s_c Σ and Σ = U Λ Uᵀ, the map z = Λ^-½ Uᵀ (x - x̄) makes component c the isotropic
//! N(z; Λ^-½ Uᵀ (μ_c - x̄), s_c I), which is p(z|c). The decoder is x = U Λ^½ z + x̄ with noise of variance ε; its ReLU
//! lets a value through as max(x, 0) - max(-x, 0). Since U Λ^½ has orthogonal columns, what z may have been given x is
//! N(m, diag ε/λ_d) but for the prior, which is that much wider: q(z|x) is as good as exact. ε is the least for which
//! every log v is within the model's range.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use nalgebra::DMatrix;

use super::ClusterVae;
use super::encoder::LOG_VAR_RANGE;
use super::ids::renamed;
use crate::gmm::Moments;

/// What a linear encoder is made of.
pub struct Whitened {
    /// U `[P,P]`, a column for each dimension of z.
    pub directions: DMatrix<f64>,
    /// λ_d, the variance of Σ along each, above 0 `[P]`.
    pub variances: Vec<f64>,
    /// x̄ `[P]`.
    pub mean: Vec<f64>,
    /// Means and variances of the clusters in z.
    pub moments: Moments,
}

impl Whitened {
    /// Variance ε of a value given z.
    fn noise(&self) -> f64 {
        let largest = self.variances.iter().copied().fold(0.0, f64::max);
        f64::from(LOG_VAR_RANGE.0).exp() * largest
    }

    /// Variances v_d of q(z|x) `[P]`.
    pub fn own_variances(&self) -> Vec<f64> {
        self.variances.iter().map(|variance| self.noise() / variance).collect()
    }

    /// The model with these numbers for its weights, from one of the same form: no hidden layer in the encoder, one of 2P
    /// units in the decoder.
    pub fn model(&self, form: ClusterVae, device: &Device) -> ClusterVae {
        let p = self.mean.len();
        let inverse = |d: usize, i: usize| self.directions[(i, d)] / self.variances[d].sqrt();
        let forward = |i: usize, d: usize| self.directions[(i, d)] * self.variances[d].sqrt();
        // Row by input, column by output, as dense layers have it.
        let encode = (0..p * p).map(|i| inverse(i % p, i / p)).collect();
        let shift = (0..p).map(|d| -(0..p).map(|i| inverse(d, i) * self.mean[i]).sum::<f64>()).collect();
        let signed = |at: usize, value: &dyn Fn(usize) -> f64| if at < p { value(at) } else { -value(at - p) };
        let decode = (0..p * 2 * p).map(|i| signed(i % (2 * p), &|o| forward(o, i / (2 * p)))).collect();
        let offset = (0..2 * p).map(|o| signed(o, &|o| self.mean[o])).collect();
        let output = (0..2 * p * p).map(|i| signed(i / p, &|row| f64::from(u8::from(row == i % p)))).collect();
        let mut model = form.valid();
        let tensor = |values: Vec<f64>| Values { values, device };
        let encoder = &mut model.encoder;
        encoder.mu.weight = tensor(encode).put(encoder.mu.weight.clone());
        encoder.mu.bias = encoder.mu.bias.take().map(|bias| tensor(shift).put(bias));
        encoder.log_var.weight = tensor(vec![0.0; p * p]).put(encoder.log_var.weight.clone());
        let log_var = self.own_variances().into_iter().map(f64::ln).collect();
        encoder.log_var.bias = encoder.log_var.bias.take().map(|bias| tensor(log_var).put(bias));
        let decoder = &mut model.decoder;
        decoder.from_z.weight = tensor(decode).put(decoder.from_z.weight.clone());
        decoder.from_z.bias = decoder.from_z.bias.take().map(|bias| tensor(offset).put(bias));
        let [k, h] = decoder.from_c.dims();
        decoder.from_c = tensor(vec![0.0; k * h]).put(decoder.from_c.clone());
        decoder.output.weight = tensor(output).put(decoder.output.weight.clone());
        decoder.output.bias = decoder.output.bias.take().map(|bias| tensor(vec![0.0; p]).put(bias));
        decoder.log_noise = tensor(vec![self.noise().ln()]).put(decoder.log_noise.clone());
        model.prior = model.prior.with_moments(&self.moments, device);
        model
    }
}

/// Values for a parameter.
struct Values<'a> {
    values: Vec<f64>,
    device: &'a Device,
}

impl Values<'_> {
    /// A parameter of the name and shape of `of`, with these values.
    fn put<const D: usize>(self, of: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let values: Vec<f32> = self.values.into_iter().map(|v| v as f32).collect();
        let data = TensorData::new(values, of.dims());
        renamed(Param::from_tensor(Tensor::from_data(data, self.device)), of.id)
    }
}
