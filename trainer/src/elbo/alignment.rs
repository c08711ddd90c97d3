//! Eq. (6.1), term 2: how well q(z|x) lies on each cluster's prior.

use std::f64::consts::PI;

use burn::tensor::Tensor;

/// How well q(z|x) lies on each cluster's prior, in expectation over z (E3).
///
/// E_q(z|x) log N(z; μ_c, σ_c² I) = -(D/2) log(2πσ_c²) - (‖m - μ_c‖² + Σ_d v_d) / (2σ_c²), in
/// closed form. The term -(D/2) log σ_c² is missing in §6.1 of the paper; without it σ_c would run
/// to infinity.
///
/// # Shapes
/// - `mu_z`, `log_var_z`: `[B,D]`; `mu_c`: `[K,D]`; `log_var_c`: `[K]`
/// - output: `[B,K]`, nats
pub fn per_cluster(mu_z: Tensor<2>, log_var_z: Tensor<2>, mu_c: Tensor<2>, log_var_c: Tensor<1>) -> Tensor<2> {
    let d = mu_z.dims()[1];
    log_normal(squared_distance(mu_z, mu_c) + log_var_z.exp().sum_dim(1), log_var_c, d)
}

/// Log-density log p(z|c) of a sample z under each cluster's prior.
///
/// # Shapes
/// - `z`: `[B,D]`; `mu_c`: `[K,D]`; `log_var_c`: `[K]`
/// - output: `[B,K]`, nats
pub fn at_sample(z: Tensor<2>, mu_c: Tensor<2>, log_var_c: Tensor<1>) -> Tensor<2> {
    let d = z.dims()[1];
    log_normal(squared_distance(z, mu_c), log_var_c, d)
}

/// Log-density of N(μ_c, σ_c² I) from squared distances, -½ (distance / σ_c² + D log 2πσ_c²).
///
/// The normaliser is included, which the paper leaves out.
fn log_normal(distance: Tensor<2>, log_var_c: Tensor<1>, d: usize) -> Tensor<2> {
    let log_var_c = log_var_c.unsqueeze_dim::<2>(0);
    let scaled = distance * (-log_var_c.clone()).exp();
    (scaled + (log_var_c + (2.0 * PI).ln()) * d as f64) * -0.5
}

/// Squared distance ‖m - μ_c‖², from differences rather than from products, which would cancel.
///
/// # Shapes
/// - `mu_z`: `[B,D]`; `mu_c`: `[K,D]`
/// - output: `[B,K]`
fn squared_distance(mu_z: Tensor<2>, mu_c: Tensor<2>) -> Tensor<2> {
    (mu_z.unsqueeze_dim::<3>(1) - mu_c.unsqueeze_dim::<3>(0)).square().sum_dim(2).squeeze_dim::<2>(2)
}
