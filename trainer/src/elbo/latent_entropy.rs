//! Eq. (6.1), term 4: the entropy of q(z|x). It widens v of a single frame; it does not separate
//! clusters.

use std::f64::consts::PI;

use burn::tensor::Tensor;

/// Entropy of q(z|x), H(N(m, diag v)) = ½ Σ_d (1 + log 2πv_d) (E4).
///
/// # Shapes
/// - `log_var_z`: log v `[B,D]`
/// - output: `[B]`, nats
pub fn gaussian(log_var_z: Tensor<2>) -> Tensor<1> {
    let d = log_var_z.dims()[1] as f64;
    let constant = d * (1.0 + (2.0 * PI).ln());
    (log_var_z.sum_dim(1).squeeze_dim::<1>(1) + constant) * 0.5
}
