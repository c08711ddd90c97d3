//! The bound of a VAE without clusters, eq. (1.10): L(x) = E_q log p(x|z) - KL(q(z|x) ‖ N(0, I)).

use burn::tensor::Tensor;

/// Charge for the latent, KL(N(m, diag v) ‖ N(0, I)) = ½ Σ_d (m_d² + v_d - 1 - log v_d) (E2).
///
/// # Shapes
/// - `mu_z`, `log_var_z`: `[B,D]`
/// - output: `[B]`, nats
pub fn kl_to_standard_normal(mu_z: Tensor<2>, log_var_z: Tensor<2>) -> Tensor<1> {
    let per_dimension = mu_z.square() + log_var_z.clone().exp() - log_var_z - 1.0;
    (per_dimension.sum_dim(1) * 0.5).squeeze_dim::<1>(1)
}
