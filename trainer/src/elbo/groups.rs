//! What latents and clusters tell about who a frame is of.
//!
//! Recordings of people differ by person before they differ by what the person does, and a mixture finds the largest
//! difference first. Where groups are known to show the same states, a latent whose mean is the same in each, and clusters
//! that tell nothing about the group, can only hold what is common to them.

use burn::tensor::Tensor;

/// Least probability under a logarithm.
const FLOOR: f64 = 1e-8;

/// Variance of the latent means between groups: Σ_g B_g/B ‖mean of g - mean‖².
///
/// # Shapes
/// - `means`: `[B,D]`; `groups`: `[B,G]`, 1 where a frame is of a group, else 0
/// - output: `[1]`
pub fn variance_between(means: Tensor<2>, groups: Tensor<2>) -> Tensor<1> {
    let b = means.dims()[0] as f64;
    // [1,G]
    let sizes = groups.clone().sum_dim(0);
    let centred = means.clone() - means.mean_dim(0);
    // A group without a frame in the batch has a sum of 0.
    let of_groups = groups.transpose().matmul(centred) / sizes.clone().transpose().clamp_min(1.0);
    (of_groups.square().sum_dim(1) * sizes.transpose()).sum() / b
}

/// Mutual information of cluster and group over a batch, I(c;g) = Σ P(c,g) log(P(c,g) / (P(c) P(g))).
///
/// # Shapes
/// - `log_q`: `[B,K]`; `groups`: `[B,G]`, 1 where a frame is of a group, else 0
/// - output: `[1]`, nats, 0 if every group has the same shares of clusters
pub fn information(log_q: Tensor<2>, groups: Tensor<2>) -> Tensor<1> {
    let b = log_q.dims()[0] as f64;
    let joint = groups.transpose().matmul(log_q.exp()) / b;
    let log = |p: Tensor<2>| p.clamp_min(FLOOR).log();
    (joint.clone() * (log(joint.clone()) - log(joint.clone().sum_dim(0)) - log(joint.sum_dim(1)))).sum()
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn value(tensor: Tensor<1>) -> f32 {
        tensor.try_into_vec_as::<f32>().unwrap()[0]
    }

    #[test]
    fn what_groups_differ_in_is_measured_in_closed_form() {
        let device = Device::default();
        let groups = Tensor::<2>::from_data([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]], &device);
        // Means 1 and 3 on the first axis, the same on the second: the variance between is 1.
        let means = Tensor::<2>::from_data([[0.0, 5.0], [2.0, -5.0], [2.0, 1.0], [4.0, -1.0]], &device);
        assert!((value(variance_between(means, groups.clone())) - 1.0).abs() < 1e-6);
        // Clusters that are the groups tell all of them, log 2; even ones nothing.
        let told = Tensor::<2>::from_data([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]], &device);
        let log = |q: Tensor<2>| q.clamp_min(1e-30).log();
        assert!((value(information(log(told), groups.clone())) - 2f32.ln()).abs() < 1e-5);
        let even = Tensor::<2>::from_data([[0.3, 0.7], [0.9, 0.1], [0.9, 0.1], [0.3, 0.7]], &device);
        assert!(value(information(log(even), groups)).abs() < 1e-6);
    }
}
