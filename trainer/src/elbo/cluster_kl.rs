//! Eq. (6.1), term 3 without its sign: what the bound charges for deciding on a cluster.

use burn::tensor::Tensor;

/// Charge for deciding on a cluster, KL(q(c|x) ‖ 1/K) = log K - H(q(c|x)) (E6), in `[0, log K]`.
///
/// # Shapes
/// - `log_q`: log q(c|x) `[B,K]`
/// - output: `[B]`, nats
pub fn to_uniform(log_q: Tensor<2>) -> Tensor<1> {
    let k = log_q.dims()[1] as f64;
    let negative_entropy = (log_q.clone().exp() * log_q).sum_dim(1).squeeze_dim::<1>(1);
    negative_entropy + k.ln()
}
