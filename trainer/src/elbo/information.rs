//! What the clusters tell about the frames, and about each other across two views.
//!
//! E12: the mean of KL(q(c|x) ‖ 1/K) over frames is I(x;c) + KL(q̄ ‖ 1/K), so eq. (6.1) charges for
//! the information that a clustering exists to give. Stage 3 gives it back.

use burn::tensor::Tensor;

/// Probabilities below this count as this under a logarithm.
const FLOOR: f64 = 1e-8;

/// Entropy of the mean cluster distribution q̄ of a batch, H(q̄).
///
/// # Shapes
/// - `log_q`: `[B,K]`
/// - output: `[1]`, nats in `[0, log K]`
pub fn marginal_entropy(log_q: Tensor<2>) -> Tensor<1> {
    let mean = log_q.exp().mean_dim(0);
    -(mean.clone() * mean.clamp_min(FLOOR).log()).sum()
}

/// Mean over frames of H(q(c|x)).
///
/// # Shapes
/// - `log_q`: `[B,K]`
/// - output: `[1]`, nats in `[0, log K]`
pub fn mean_entropy(log_q: Tensor<2>) -> Tensor<1> {
    let b = log_q.dims()[0] as f64;
    -(log_q.clone().exp() * log_q).sum() / b
}

/// I(x;c) = H(q̄) - mean over frames of H(q(c|x)).
///
/// # Shapes
/// - `log_q`: `[B,K]`
/// - output: `[1]`, nats in `[0, log K]`
pub fn mutual_information(log_q: Tensor<2>) -> Tensor<1> {
    marginal_entropy(log_q.clone()) - mean_entropy(log_q)
}

/// Mutual information between the clusters of a frame and of its view, over the batch.
///
/// The joint is P = mean over frames of q(c|x) q(c'|Tx), made symmetric (as in IIC).
///
/// # Shapes
/// - `log_q`, `log_q_view`: `[B,K]`
/// - output: `[1]`, nats in `[0, log K]`
pub fn between_views(log_q: Tensor<2>, log_q_view: Tensor<2>) -> Tensor<1> {
    let b = log_q.dims()[0] as f64;
    let joint = log_q.exp().transpose().matmul(log_q_view.exp()) / b;
    let joint = ((joint.clone() + joint.transpose()) * 0.5).clamp_min(FLOOR);
    let marginal = joint.clone().sum_dim(0);
    let independent = marginal.clone().log() + marginal.transpose().log();
    (joint.clone() * (joint.log() - independent)).sum()
}

/// ½ `[KL(q ‖ q') + KL(q' ‖ q)]` averaged over the batch, each with its first argument held fixed.
///
/// # Shapes
/// - `log_q`, `log_q_view`: `[B,K]`
/// - output: `[1]`, nats
pub fn inconsistency(log_q: Tensor<2>, log_q_view: Tensor<2>) -> Tensor<1> {
    let b = log_q.dims()[0] as f64;
    let (target, target_view) = (log_q.clone().detach(), log_q_view.clone().detach());
    let forward = target.clone().exp() * (target - log_q_view);
    let backward = target_view.clone().exp() * (target_view - log_q);
    (forward + backward).sum() * (0.5 / b)
}
