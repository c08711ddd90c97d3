//! E_q(z|x) of what the decoder says of each value, at 2D fixed points of z.
//!
//! The points are those of the spherical-radial cubature of degree 3 (I. Arasaratnam, S. Haykin,
//! *Cubature Kalman Filters*, 2009): m ± √(D v_d) in one dimension each, all of weight 1/(2D). Odd
//! moments cancel between the two points of a pair, and the second moment in dimension d is 2·D
//! v_d/(2D) = v_d, so the expectation of every polynomial of degree 3 is exact. No random number is
//! drawn, so that a frame has one explanation. The mean m alone would be one pass instead of 2D,
//! but leaves out what the encoder does not know: a value that it is unsure of would pass for
//! surprising.
//!
//! The points are made one after another, decoded and added to three running sums `[B,P]`, so
//! memory does not grow with D.

use burn::tensor::{Int, Tensor, TensorData};

use crate::model::{Decoder, Posterior};

/// The 2D points of z of a batch, each `[B,D]`, made as they are asked for.
pub fn nodes(posterior: &Posterior) -> impl ExactSizeIterator<Item = Tensor<2>> + use<> {
    let mean = posterior.mu_z.clone();
    let [_, d] = mean.dims();
    let radius = posterior.log_var_z.clone().mul_scalar(0.5).exp() * (d as f64).sqrt();
    (0..2 * d).map(move |node| {
        let mut direction = vec![0.0f32; d];
        direction[node / 2] = if node % 2 == 0 { 1.0 } else { -1.0 };
        let direction = Tensor::<2>::from_data(TensorData::new(direction, [1, d]), &mean.device());
        mean.clone() + radius.clone() * direction
    })
}

/// Expectations over z of what one cluster's decoder says of each of P values.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// Expected log-density E log p(x_p|z,c) `[B,P]`, nats.
    pub log_density: Tensor<2>,
    /// Mean of the predictive p(x_p|x,c) = E p(x_p|z,c) `[B,P]`.
    pub mean: Tensor<2>,
    /// Expected squared error E (x_p - x̂_p(z))², x̂ the mean of p(x|z,c) `[B,P]`.
    pub squared_error: Tensor<2>,
}

impl Expectation {
    /// Averages over points of z, with equal weights.
    ///
    /// # Shapes
    /// - `x`: `[B,P]`; `nodes`: `[B,D]` each, at least one; `cluster`: `[B]`
    pub fn new(
        decoder: &Decoder,
        x: Tensor<2>,
        nodes: impl ExactSizeIterator<Item = Tensor<2>>,
        cluster: Tensor<1, Int>,
    ) -> Self {
        let weight = 1.0 / nodes.len() as f64;
        let zeros = Tensor::zeros(x.dims(), &x.device());
        let mut sums = Self { log_density: zeros.clone(), mean: zeros.clone(), squared_error: zeros };
        for z in nodes {
            let out = decoder.forward_of(z, cluster.clone());
            let mean = decoder.mean(out.clone());
            sums.log_density = sums.log_density + decoder.log_density(x.clone(), out) * weight;
            sums.squared_error = sums.squared_error + (x.clone() - mean.clone()).square() * weight;
            sums.mean = sums.mean + mean * weight;
        }
        sums
    }
}
