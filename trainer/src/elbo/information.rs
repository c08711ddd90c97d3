//! What the clusters tell about the frames, and about each other across two views.
//!
//! With q̄ the mean of q(c|x) over frames, the mean charge for deciding splits in two (E12):
//!
//! E_x KL(q(c|x) ‖ 1/K) = log K - E_x H(q(c|x))
//! = (H(q̄) - E_x H(q(c|x))) + (log K - H(q̄)) = I(x;c) + KL(q̄ ‖ 1/K).
//!
//! The second part asks for clusters of equal size. The first is the information that a clustering
//! exists to give, and eq. (6.1) charges for it: that is one of the ways into collapse. Stage 3
//! gives it back.
//!
//! All functions take log q(c|x) of a batch and return one number for it, or what each frame adds to it. Over a batch of B
//! frames that number is an estimate: q̄ is the mean of the batch, so H(q̄) is a little low on average.

use burn::tensor::Tensor;

/// Least probability under a logarithm; what is below counts as this, so that 0 log 0 is 0 and not
/// NaN.
const FLOOR: f64 = 1e-8;

/// Entropy of the mean cluster distribution q̄ of a batch, H(q̄): how evenly clusters are used.
///
/// # Shapes
/// - `log_q`: `[B,K]`
/// - output: `[1]`, nats in `[0, log K]`
pub fn marginal_entropy(log_q: Tensor<2>) -> Tensor<1> {
    let mean = log_q.exp().mean_dim(0);
    -(mean.clone() * mean.clamp_min(FLOOR).log()).sum()
}

/// Mean entropy of q(c|x) over frames: how undecided a frame is on average.
///
/// # Shapes
/// - `log_q`: `[B,K]`
/// - output: `[1]`, nats in `[0, log K]`
pub fn mean_entropy(log_q: Tensor<2>) -> Tensor<1> {
    let b = log_q.dims()[0] as f64;
    -(log_q.clone().exp() * log_q).sum() / b
}

/// Information of the cluster about the frame, I(x;c) = H(q̄) - mean over frames of H(q(c|x)).
///
/// It is largest, log K, if every frame is decided and all clusters are used alike.
///
/// # Shapes
/// - `log_q`: `[B,K]`
/// - output: `[1]`, nats in `[0, log K]`
pub fn mutual_information(log_q: Tensor<2>) -> Tensor<1> {
    marginal_entropy(log_q.clone()) - mean_entropy(log_q)
}

/// Mutual information between the clusters of a frame and of its view, over the batch.
///
/// The joint P(c,c') is the mean over frames of q(c|x) q(c'|Tx), one matrix product `[K,B]` by
/// `[B,K]`. A view of a view is a view, so P is made symmetric, ½ (P + Pᵀ), as in invariant
/// information clustering (X. Ji et al., *IIC*, 2019); then both margins are the same sums of
/// columns P(c). I = Σ P(c,c') (log P(c,c') - log P(c) - log P(c')).
///
/// It is high only if a view goes where its frame goes, and frames go to different clusters. The
/// cost is B·K² multiply-adds.
///
/// # Shapes
/// - `log_q`, `log_q_view`: `[B,K]`
/// - output: `[1]`, nats in `[0, log K]`
pub fn between_views(log_q: Tensor<2>, log_q_view: Tensor<2>) -> Tensor<1> {
    let (joint, pointwise) = joint_and_pointwise(log_q.exp(), log_q_view.exp());
    (joint * pointwise).sum()
}

/// What each frame adds to [`between_views`], whose value is the mean of these, but for what is floored.
///
/// Σ q(c|x) q(c'|Tx) (log P(c,c') - log P(c) - log P(c')), with P of the batch.
///
/// # Shapes
/// - `log_q`, `log_q_view`: `[B,K]`
/// - output: `[B]`, nats
pub fn between_views_of_each(log_q: Tensor<2>, log_q_view: Tensor<2>) -> Tensor<1> {
    let (q, q_view) = (log_q.exp(), log_q_view.exp());
    let (_, pointwise) = joint_and_pointwise(q.clone(), q_view.clone());
    (q.matmul(pointwise) * q_view).sum_dim(1).squeeze_dim::<1>(1)
}

/// The joint P(c,c') of a frame's cluster and its view's, and log P(c,c') - log P(c) - log P(c'); both `[K,K]`, from `q` and
/// `q_view` `[B,K]`.
fn joint_and_pointwise(q: Tensor<2>, q_view: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
    let b = q.dims()[0] as f64;
    let joint = q.transpose().matmul(q_view) / b;
    let joint = ((joint.clone() + joint.transpose()) * 0.5).clamp_min(FLOOR);
    let marginal = joint.clone().sum_dim(0);
    let independent = marginal.clone().log() + marginal.transpose().log();
    (joint.clone(), joint.log() - independent)
}

/// Disagreement of frame and view, ½ (KL(q ‖ q') + KL(q' ‖ q)) averaged over the batch.
///
/// Each divergence has its first argument held fixed under the gradient: a frame is the target of
/// its view, and a view that of its frame, and neither is drawn towards being undecided by its own
/// entropy.
///
/// # Shapes
/// - `log_q`, `log_q_view`: `[B,K]`
/// - output: `[1]`, nats
pub fn inconsistency(log_q: Tensor<2>, log_q_view: Tensor<2>) -> Tensor<1> {
    let b = log_q.dims()[0] as f64;
    divergences(log_q, log_q_view).sum() * (0.5 / b)
}

/// What each frame adds to [`inconsistency`], whose value is the mean of these.
///
/// # Shapes
/// - `log_q`, `log_q_view`: `[B,K]`
/// - output: `[B]`, nats
pub fn inconsistency_of_each(log_q: Tensor<2>, log_q_view: Tensor<2>) -> Tensor<1> {
    divergences(log_q, log_q_view).sum_dim(1).squeeze_dim::<1>(1) * 0.5
}

/// The terms of KL(q ‖ q') + KL(q' ‖ q), first arguments held fixed `[B,K]`.
fn divergences(log_q: Tensor<2>, log_q_view: Tensor<2>) -> Tensor<2> {
    let (target, target_view) = (log_q.clone().detach(), log_q_view.clone().detach());
    let forward = target.clone().exp() * (target - log_q_view);
    let backward = target_view.clone().exp() * (target_view - log_q);
    forward + backward
}
