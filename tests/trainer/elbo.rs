//! The terms of the bound against closed forms, Monte Carlo and independent computations in f64.
//! Numbers E1 to E14 are those of `trainer/docs/equations.md`.
#![expect(clippy::unwrap_used, reason = "a helper that fails is the test's own message")]

use std::f64::consts::PI;

use burn::tensor::{Device, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use trainer::elbo::reconstruction::{TwoClusters, log_bernoulli, log_gaussian};
use trainer::elbo::sampled::{AtSample, log_posterior};
use trainer::elbo::{Terms, alignment, cluster_kl, information, latent_entropy, log_sum_exp, optimum, standard};
use trainer::gmm::{Moments, Points};

const B: usize = 5;
const K: usize = 4;
const D: usize = 3;

/// Random inputs of every term, on the host.
struct Case {
    mu_z: Vec<f32>,
    log_var_z: Vec<f32>,
    mu_c: Vec<f32>,
    log_var_c: Vec<f32>,
    log_likelihood: Vec<f32>,
    log_q: Vec<f32>,
}

fn case(seed: u64) -> Case {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut normal =
        |n: usize, scale: f32| -> Vec<f32> { (0..n).map(|_| rng.sample::<f32, _>(StandardNormal) * scale).collect() };
    Case {
        mu_z: normal(B * D, 1.5),
        log_var_z: normal(B * D, 0.7),
        mu_c: normal(K * D, 1.5),
        log_var_c: normal(K, 0.5),
        log_likelihood: normal(B * K, 5.0),
        log_q: normal(B * K, 2.0).chunks(K).flat_map(log_softmax).collect(),
    }
}

fn log_softmax(row: &[f32]) -> Vec<f32> {
    let sum: f64 = row.iter().map(|&v| f64::from(v).exp()).sum();
    row.iter().map(|&v| (f64::from(v) - sum.ln()) as f32).collect()
}

fn matrix(values: &[f32], columns: usize) -> Tensor<2> {
    let shape = [values.len() / columns, columns];
    Tensor::from_data(TensorData::new(values.to_vec(), shape), &Device::flex())
}

fn vector(values: &[f32]) -> Tensor<1> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), &Device::flex())
}

fn host<const R: usize>(tensor: Tensor<R>) -> Vec<f64> {
    tensor.try_into_vec_as::<f32>().unwrap().into_iter().map(f64::from).collect()
}

fn close(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!((a - b).abs() <= tolerance * (1.0 + b.abs()), "value {i}: {a}, expected {b}");
    }
}

impl Case {
    fn alignment(&self) -> Tensor<2> {
        let (mu_z, log_var_z) = (matrix(&self.mu_z, D), matrix(&self.log_var_z, D));
        alignment::per_cluster(mu_z, log_var_z, matrix(&self.mu_c, D), vector(&self.log_var_c))
    }

    fn terms(&self) -> Terms {
        let (log_q, log_likelihood) = (matrix(&self.log_q, K), matrix(&self.log_likelihood, K));
        Terms::new(log_q, log_likelihood, self.alignment(), matrix(&self.log_var_z, D))
    }

    /// E3 in f64, by its formula.
    fn alignment_of(&self, b: usize, c: usize) -> f64 {
        let var_c = f64::from(self.log_var_c[c]).exp();
        (0..D)
            .map(|d| {
                let difference = f64::from(self.mu_z[b * D + d]) - f64::from(self.mu_c[c * D + d]);
                let v = f64::from(self.log_var_z[b * D + d]).exp();
                -0.5 * (2.0 * PI * var_c).ln() - (difference * difference + v) / (2.0 * var_c)
            })
            .sum()
    }

    /// Samples of z from q(z|x) of frame `b`.
    fn samples(&self, b: usize, count: usize) -> impl Iterator<Item = [f64; D]> + '_ {
        let mut rng = ChaCha8Rng::seed_from_u64(99 + b as u64);
        (0..count).map(move |_| {
            std::array::from_fn(|d| {
                let noise: f64 = rng.sample(StandardNormal);
                f64::from(self.mu_z[b * D + d]) + noise * (0.5 * f64::from(self.log_var_z[b * D + d])).exp()
            })
        })
    }
}

fn log_normal(z: &[f64; D], mean: impl Fn(usize) -> f64, var: impl Fn(usize) -> f64) -> f64 {
    (0..D).map(|d| -0.5 * (2.0 * PI * var(d)).ln() - (z[d] - mean(d)).powi(2) / (2.0 * var(d))).sum()
}

const SAMPLES: usize = 200_000;

/// log N(z; mean, var).
fn normal(z: f64, mean: f64, var: f64) -> f64 {
    -0.5 * ((2.0 * PI * var).ln() + (z - mean).powi(2) / var)
}

/// log p(x|z) of two pixels under a decoder that bends its one latent, so that p(z|x) is far from Gaussian.
fn bent_log_likelihood(z: &[f64]) -> Vec<f64> {
    let logits: Vec<f32> = z.iter().flat_map(|z| [(2.0 * z).sin() * 3.0, z * z - 1.0].map(|v| v as f32)).collect();
    let x: Vec<f32> = [1.0, 0.0].repeat(z.len());
    host(log_bernoulli(matrix(&x, 2), matrix(&logits, 2)).sum_dim(1).squeeze_dim::<1>(1))
}

/// log p(x) and, for q(z|x) = N(mean, exp(log_var)), the bound (1.10) and KL(q(z|x) ‖ p(z|x)), by sums over a grid.
fn bent_model(mean: f32, log_var: f32) -> (f64, f64, f64) {
    const STEP: f64 = 1e-3;
    let grid: Vec<f64> = (-12_000..12_000).map(|i| f64::from(i) * STEP).collect();
    let log_likelihood = bent_log_likelihood(&grid);
    let joint = |i: usize| log_likelihood[i] + normal(grid[i], 0.0, 1.0);
    let evidence = (0..grid.len()).map(|i| joint(i).exp() * STEP).sum::<f64>().ln();
    let q = |i: usize| normal(grid[i], f64::from(mean), f64::from(log_var).exp());
    let over_q = |f: &dyn Fn(usize) -> f64| -> f64 { (0..grid.len()).map(|i| q(i).exp() * f(i) * STEP).sum() };
    let kl = host(standard::kl_to_standard_normal(matrix(&[mean], 1), matrix(&[log_var], 1)))[0];
    (evidence, over_q(&|i| log_likelihood[i]) - kl, over_q(&|i| q(i) - (joint(i) - evidence)))
}

/// log p(x) = L(x) + KL(q(z|x) ‖ p(z|x)), eq. (1.8).
#[test]
fn e1_the_evidence_is_the_bound_plus_the_kl_to_the_true_posterior() {
    for (mean, log_var) in [(0.4, -1.2), (-0.3, 0.5)] {
        let (evidence, bound, gap) = bent_model(mean, log_var);
        assert!(gap > 0.0);
        close(&[bound + gap], &[evidence], 1e-5);
    }
}

/// The mean log weight is the bound (1.10), and the log of the mean weight is log p(x).
#[test]
fn importance_weights_estimate_the_evidence() {
    let (mean, log_var) = (0.4f32, -0.2f32);
    let (evidence, bound, _) = bent_model(mean, log_var);
    let mut rng = ChaCha8Rng::seed_from_u64(21);
    let noise: Vec<f32> = (0..SAMPLES).map(|_| rng.sample(StandardNormal)).collect();
    let z: Vec<f32> = noise.iter().map(|n| mean + n * (0.5 * log_var).exp()).collect();
    let log_likelihood: Vec<f32> =
        bent_log_likelihood(&z.iter().map(|z| f64::from(*z)).collect::<Vec<_>>()).iter().map(|v| *v as f32).collect();
    let at = AtSample {
        log_posterior: log_posterior(matrix(&noise, 1), matrix(&vec![log_var; SAMPLES], 1)),
        log_prior: alignment::at_sample(matrix(&z, 1), matrix(&[0.0], 1), vector(&[0.0])),
        log_likelihood: matrix(&log_likelihood, 1),
    };
    let weights = host(at.log_weight());
    let n = SAMPLES as f64;
    assert!((weights.iter().sum::<f64>() / n - bound).abs() < 0.01);
    assert!(((weights.iter().map(|w| w.exp()).sum::<f64>() / n).ln() - evidence).abs() < 0.01);
}

/// The samples of one frame, as rows.
fn samples_of_a_frame(log_prior: &[f32], log_likelihood: &[f32], k: usize) -> AtSample {
    let rows = log_prior.len() / k;
    AtSample {
        log_posterior: vector(&vec![-1.5; rows]),
        log_prior: matrix(log_prior, k),
        log_likelihood: matrix(log_likelihood, k),
    }
}

/// The bound of §2, its Jensen gap (§3) and L - L̂ (§4), each against a computation of its own.
#[test]
fn e10_e11_nested_bound_and_its_gaps() {
    const S: usize = 6;
    let mut rng = ChaCha8Rng::seed_from_u64(22);
    let mut normal =
        |scale: f32| -> Vec<f32> { (0..S * K).map(|_| rng.sample::<f32, _>(StandardNormal) * scale).collect() };
    let (prior, likelihood) = (normal(2.0), normal(3.0));
    let at = samples_of_a_frame(&prior, &likelihood, K);
    let q: Vec<Vec<f64>> =
        prior.chunks(K).map(|row| log_softmax(row).iter().map(|l| f64::from(*l).exp()).collect()).collect();
    let marginal: Vec<f64> = (0..K).map(|c| q.iter().map(|row| row[c]).sum::<f64>() / S as f64).collect();
    let log_k = (K as f64).ln();
    let joint = |s: usize, c: usize| f64::from(prior[s * K + c]) + f64::from(likelihood[s * K + c]) - log_k;

    // E10 as E log p(x,z,c)/q, term by term.
    let nested: Vec<f64> =
        (0..S).map(|s| 1.5 + (0..K).map(|c| q[s][c] * (joint(s, c) - q[s][c].ln())).sum::<f64>()).collect();
    close(&host(at.bound(at.log_cluster_posterior())), &nested, 1e-4);

    // E11: the Jensen gap is I_q(c;z|x), which is never negative.
    let kl = |log_q: Tensor<2>| host(cluster_kl::to_uniform(log_q)).iter().sum::<f64>();
    let marginal_row: Vec<f32> = marginal.iter().map(|p| p.ln() as f32).collect();
    let gap = kl(at.log_cluster_posterior()) / S as f64 - kl(matrix(&marginal_row, K));
    let information: f64 = q.iter().flat_map(|row| row.iter().zip(&marginal).map(|(q, p)| q * (q / p).ln())).sum();
    close(&[gap], &[information / S as f64], 1e-4);
    assert!(gap > 0.0);

    // §4: L - L̂ = E Σ_c (q(c|z) - q(c|x)) log p(x,z,c) - I_q(c;z|x).
    let modified = host(at.bound(matrix(&marginal_row.repeat(S), K)));
    let gain = (nested.iter().sum::<f64>() - modified.iter().sum::<f64>()) / S as f64;
    let shift: f64 =
        (0..S).flat_map(|s| (0..K).map(move |c| (s, c))).map(|(s, c)| (q[s][c] - marginal[c]) * joint(s, c)).sum();
    close(&[gain], &[shift / S as f64 - gap], 1e-4);
}

/// §4 says "generally L ≥ L̂"; it holds where the decoder agrees with q(c|z), and not where it contradicts it.
#[test]
fn section_4_the_gap_has_either_sign() {
    let prior = [0.0, -10.0, -10.0, 0.0];
    let gain = |likelihood: [f32; 4]| {
        let at = samples_of_a_frame(&prior, &likelihood, 2);
        let even = matrix(&[0.5f32.ln(); 4], 2);
        host(at.bound(at.log_cluster_posterior())).iter().sum::<f64>() - host(at.bound(even)).iter().sum::<f64>()
    };
    assert!(gain([0.0, -20.0, -20.0, 0.0]) > 1.0);
    assert!(gain([-20.0, 0.0, 0.0, -20.0]) < -1.0);
}

#[test]
fn e2_kl_to_the_standard_normal_is_the_monte_carlo_mean() {
    let case = case(1);
    let kl = host(standard::kl_to_standard_normal(matrix(&case.mu_z, D), matrix(&case.log_var_z, D)));
    for (b, kl) in kl.iter().enumerate() {
        let q = |z: &[f64; D]| {
            log_normal(z, |d| f64::from(case.mu_z[b * D + d]), |d| f64::from(case.log_var_z[b * D + d]).exp())
        };
        let mean: f64 =
            case.samples(b, SAMPLES).map(|z| q(&z) - log_normal(&z, |_| 0.0, |_| 1.0)).sum::<f64>() / SAMPLES as f64;
        assert!((mean - kl).abs() < 0.03, "{mean} {kl}");
    }
}

#[test]
fn e3_alignment_is_the_monte_carlo_mean_and_its_formula() {
    let case = case(2);
    let found = host(case.alignment());
    for b in 0..B {
        for c in 0..K {
            let var_c = f64::from(case.log_var_c[c]).exp();
            let p = |z: &[f64; D]| log_normal(z, |d| f64::from(case.mu_c[c * D + d]), |_| var_c);
            let mean: f64 = case.samples(b, SAMPLES).map(|z| p(&z)).sum::<f64>() / SAMPLES as f64;
            assert!((mean - found[b * K + c]).abs() < 0.01 * (1.0 + mean.abs()), "{mean} {}", found[b * K + c]);
            close(&[found[b * K + c]], &[case.alignment_of(b, c)], 1e-5);
        }
    }
}

#[test]
fn e3_has_the_normaliser_the_paper_leaves_out() {
    // §6.1 drops -(D/2) log σ_c²; without it a wider cluster would always be better.
    let (narrow, wide) = (vec![0.0f32], vec![6.0f32]);
    let at = |log_var_c: &[f32]| {
        let zeros = matrix(&[0.0; D], D);
        host(alignment::per_cluster(zeros.clone(), zeros.clone() - 2.0, zeros, vector(log_var_c)))[0]
    };
    assert!(at(&narrow) > at(&wide));
}

#[test]
fn e4_entropy_is_the_monte_carlo_mean() {
    let case = case(3);
    let found = host(latent_entropy::gaussian(matrix(&case.log_var_z, D)));
    for (b, found) in found.iter().enumerate() {
        let q = |z: &[f64; D]| {
            log_normal(z, |d| f64::from(case.mu_z[b * D + d]), |d| f64::from(case.log_var_z[b * D + d]).exp())
        };
        let mean: f64 = case.samples(b, SAMPLES).map(|z| -q(&z)).sum::<f64>() / SAMPLES as f64;
        assert!((mean - found).abs() < 0.02, "{mean} {found}");
    }
}

#[test]
fn e5_alignment_plus_entropy_is_minus_the_kl_to_the_cluster() {
    let case = case(4);
    let sum = host(case.alignment() + latent_entropy::gaussian(matrix(&case.log_var_z, D)).unsqueeze_dim::<2>(1));
    for b in 0..B {
        for c in 0..K {
            let var_c = f64::from(case.log_var_c[c]).exp();
            let kl: f64 = (0..D)
                .map(|d| {
                    let v = f64::from(case.log_var_z[b * D + d]).exp();
                    let difference = f64::from(case.mu_z[b * D + d]) - f64::from(case.mu_c[c * D + d]);
                    0.5 * ((v + difference * difference) / var_c - 1.0 + (var_c / v).ln())
                })
                .sum();
            close(&[sum[b * K + c]], &[-kl], 1e-5);
        }
    }
}

#[test]
fn e6_cluster_kl_is_log_k_minus_entropy_and_within_its_range() {
    let case = case(5);
    let found = host(cluster_kl::to_uniform(matrix(&case.log_q, K)));
    for (row, found) in case.log_q.chunks(K).zip(&found) {
        let entropy: f64 = row.iter().map(|&l| -f64::from(l).exp() * f64::from(l)).sum();
        close(&[*found], &[(K as f64).ln() - entropy], 1e-5);
        assert!((-1e-6..=(K as f64).ln() + 1e-6).contains(found));
    }
    let uniform = host(cluster_kl::to_uniform(matrix(&[-(K as f32).ln(); K], K)));
    close(&uniform, &[0.0], 1e-6);
}

#[test]
fn e7_no_other_cluster_posterior_gives_a_higher_bound() {
    let case = case(6);
    let exponents = matrix(&case.log_likelihood, K) + case.alignment();
    let bound = |log_q: Tensor<2>| {
        host(Terms::new(log_q, matrix(&case.log_likelihood, K), case.alignment(), matrix(&case.log_var_z, D)).total())
    };
    let best = bound(optimum::log_responsibilities(exponents));
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    for _ in 0..1000 {
        let scale = rng.random::<f32>() * 10.0;
        let raw: Vec<f32> = (0..B * K).map(|_| rng.sample::<f32, _>(StandardNormal) * scale).collect();
        let other: Vec<f32> = raw.chunks(K).flat_map(log_softmax).collect();
        for (best, other) in best.iter().zip(bound(matrix(&other, K))) {
            assert!(other <= best + 1e-4, "{other} > {best}");
        }
    }
}

#[test]
fn e7_is_uniform_only_if_all_exponents_are_equal() {
    // §6.1.3 claims the optimum is 1/K; that maximises one term alone.
    let case = case(8);
    let q = host(optimum::log_responsibilities(matrix(&case.log_likelihood, K)).exp());
    assert!(q.iter().any(|q| (q - 0.25).abs() > 0.1));
    let equal = host(optimum::log_responsibilities(matrix(&[-40.0; K], K)).exp());
    close(&equal, &[0.25; K], 1e-6);
}

#[test]
fn e8_bound_at_the_optimum() {
    let case = case(9);
    let exponents = matrix(&case.log_likelihood, K) + case.alignment();
    let log_q = optimum::log_responsibilities(exponents.clone());
    let terms = Terms::new(log_q, matrix(&case.log_likelihood, K), case.alignment(), matrix(&case.log_var_z, D));
    let closed = host(optimum::bound(exponents, matrix(&case.log_var_z, D)));
    close(&host(terms.total()), &closed, 1e-5);
}

#[test]
fn e9_terms_sum_to_an_independent_computation() {
    let case = case(10);
    let found = host(case.terms().total());
    for (b, found) in found.iter().enumerate() {
        let mut expected = 0.0;
        for c in 0..K {
            let log_q = f64::from(case.log_q[b * K + c]);
            let log_joint = f64::from(case.log_likelihood[b * K + c]) + case.alignment_of(b, c) - (K as f64).ln();
            expected += log_q.exp() * (log_joint - log_q);
        }
        expected += (0..D).map(|d| 0.5 * (1.0 + (2.0 * PI).ln() + f64::from(case.log_var_z[b * D + d]))).sum::<f64>();
        close(&[*found], &[expected], 1e-5);
    }
}

#[test]
fn e12_mean_cluster_kl_is_information_plus_imbalance() {
    let case = case(11);
    let log_q = matrix(&case.log_q, K);
    let mean_kl = host(cluster_kl::to_uniform(log_q.clone()).mean());
    let information = host(information::mutual_information(log_q.clone()))[0];
    let imbalance = (K as f64).ln() - host(information::marginal_entropy(log_q))[0];
    close(&mean_kl, &[information + imbalance], 1e-5);
}

/// Where p(c) is learned, term 3 is the divergence from it, and log K p(c) in the exponents changes no total.
#[test]
fn learned_weights_are_part_of_term_3_alone() {
    let case = case(12);
    let p: Vec<f32> = (1..=K).map(|c| 2.0 * c as f32 / (K * (K + 1)) as f32).collect();
    let log_weights = matrix(&p.iter().map(|p| (p * K as f32).ln()).collect::<Vec<_>>(), K);
    // Any numbers will do for what clusters give.
    let log_q = matrix(&case.log_q, K);
    let alignment = matrix(&case.log_likelihood, K) * 0.5;
    let terms = |alignment: Tensor<2>| {
        Terms::new(log_q.clone(), matrix(&case.log_likelihood, K), alignment, matrix(&case.log_var_z, D))
    };
    let plain = terms(alignment.clone());
    let counted = terms(alignment + log_weights.clone());
    let told = counted.clone().with_weights(log_q.clone(), log_weights);
    close(&host(told.alignment.clone()), &host(plain.alignment), 1e-5);
    close(&host(told.total()), &host(counted.total()), 1e-5);
    for (row, found) in case.log_q.chunks(K).zip(host(told.cluster_kl)) {
        let divergence: f64 =
            row.iter().zip(&p).map(|(&l, &p)| f64::from(l).exp() * (f64::from(l) - f64::from(p).ln())).sum();
        close(&[found], &[divergence], 1e-5);
    }
}

#[test]
fn views_that_agree_on_balanced_clusters_share_log_k() {
    let sure: Vec<f32> = (0..K * K).map(|i| if i % K == i / K { 0.0 } else { -50.0 }).collect();
    let same = host(information::between_views(matrix(&sure, K), matrix(&sure, K)));
    close(&same, &[(K as f64).ln()], 1e-4);
    let uniform = vec![-(K as f32).ln(); K * K];
    close(&host(information::between_views(matrix(&sure, K), matrix(&uniform, K))), &[0.0], 1e-4);
    close(&host(information::inconsistency(matrix(&sure, K), matrix(&sure, K))), &[0.0], 1e-6);
}

#[test]
fn inconsistency_is_the_mean_of_both_divergences() {
    let (a, b) = (case(12).log_q, case(13).log_q);
    let found = host(information::inconsistency(matrix(&a, K), matrix(&b, K)));
    let kl = |p: &[f32], q: &[f32]| -> f64 {
        p.iter().zip(q).map(|(&p, &q)| f64::from(p).exp() * (f64::from(p) - f64::from(q))).sum()
    };
    close(&found, &[(kl(&a, &b) + kl(&b, &a)) / (2.0 * B as f64)], 1e-5);
}

#[test]
fn what_each_frame_adds_has_the_value_of_the_batch_as_its_mean() {
    let mean = |values: Vec<f64>| vec![values.iter().sum::<f64>() / values.len() as f64];
    for seed in 0..20 {
        let [a, b] = [20 + seed, 50 + seed].map(|seed| matrix(&case(seed).log_q, K));
        let each = host(information::between_views_of_each(a.clone(), b.clone()));
        close(&mean(each), &host(information::between_views(a.clone(), b.clone())), 1e-4);
        let each = host(information::inconsistency_of_each(a.clone(), b.clone()));
        close(&mean(each), &host(information::inconsistency(a, b)), 1e-4);
    }
}

#[test]
fn log_sum_exp_survives_values_that_overflow_exp() {
    let found = host(log_sum_exp(matrix(&[1000.0, 1000.0, -1000.0, -1000.0], 2)));
    close(&found, &[1000.0 + 2f64.ln(), -1000.0 + 2f64.ln()], 1e-6);
}

#[test]
fn log_densities_of_a_value() {
    let logits = [-30.0f32, -2.0, 0.0, 3.0, 30.0];
    let x = [0.0f32, 0.3, 1.0, 0.5, 1.0];
    let found = host(log_bernoulli(vector(&x), vector(&logits)));
    let expected: Vec<f64> = x
        .iter()
        .zip(&logits)
        .map(|(&x, &l)| f64::from(x) * f64::from(l) - f64::from(l).max(0.0) - (-f64::from(l).abs()).exp().ln_1p())
        .collect();
    close(&found, &expected, 1e-5);
    let found = host(log_gaussian(vector(&x), vector(&logits), vector(&[0.4])));
    let expected: Vec<f64> = x
        .iter()
        .zip(&logits)
        .map(|(&x, &m)| {
            -0.5 * ((2.0 * PI).ln()
                + f64::from(0.4f32)
                + (f64::from(x) - f64::from(m)).powi(2) / f64::from(0.4f32).exp())
        })
        .collect();
    close(&found, &expected, 1e-5);
}

/// Averaged over its random choice, the two-pass estimate has the value and the gradient of the exact sum.
#[test]
fn two_passes_estimate_the_sum_over_clusters_without_bias() {
    let device = Device::flex().autodiff();
    let logits = vec![1.0f32, 0.4, -0.3, -1.0];
    let f = vec![-3.0f32, 2.0, 5.0, -1.0];
    // The same frame many times over: the mean over the batch is the mean over the choice.
    let n = 200_000;
    let mut rng = ChaCha8Rng::seed_from_u64(14);
    let gumbel: Vec<f32> = (0..n * K).map(|_| -(-(1.0 - rng.random::<f32>()).ln()).max(1e-30).ln()).collect();
    let row = |values: &[f32]| Tensor::<2>::from_data(TensorData::new(values.to_vec(), [1, K]), &device);
    let gumbel = Tensor::from_data(TensorData::new(gumbel, [n, K]), &device);

    let estimated_at = row(&logits).require_grad();
    let log_q = burn::tensor::activation::log_softmax(estimated_at.clone(), 1).expand([n, K]);
    let clusters = TwoClusters::draw(log_q, gumbel);
    let values = row(&f).squeeze_dim::<1>(0);
    let (first, second) = (values.clone().select(0, clusters.first.clone()), values.select(0, clusters.second.clone()));
    let estimate = clusters.expectation(first, second).mean();
    let estimated_gradient = host(estimated_at.grad(&estimate.backward()).unwrap());

    let exact_at = row(&logits).require_grad();
    let q = burn::tensor::activation::softmax(exact_at.clone(), 1);
    let exact = (q * row(&f)).sum();
    let exact_gradient = host(exact_at.grad(&exact.backward()).unwrap());

    // Three standard errors of a mean of 200,000 values that differ by at most 8.
    let tolerance = 3.0 * 8.0 / (n as f64).sqrt();
    assert!((host(estimate)[0] - host(exact)[0]).abs() < tolerance);
    for (a, b) in estimated_gradient.iter().zip(&exact_gradient) {
        assert!((a - b).abs() < tolerance, "{estimated_gradient:?} {exact_gradient:?}");
    }
}

/// No small change of the prior gains on the M-step, and alternating it with E7 never loses.
#[test]
fn e14_prior_update_is_the_maximum_given_the_rest() {
    let case = case(15);
    let wide = |values: &[f32]| values.iter().map(|&v| f64::from(v)).collect::<Vec<f64>>();
    let means = wide(&case.mu_z);
    let points = Points::new(&means, D).unwrap();
    let variances: Vec<f64> =
        case.log_var_z.chunks(D).map(|row| row.iter().map(|&v| f64::from(v).exp()).sum()).collect();
    let bound = |moments: &Moments, log_q: &Tensor<2>| -> f64 {
        let mu_c: Vec<f32> = moments.means.iter().map(|&v| v as f32).collect();
        let log_var_c: Vec<f32> = moments.variances.iter().map(|&v| v.ln() as f32).collect();
        let (mu_z, log_var_z) = (matrix(&case.mu_z, D), matrix(&case.log_var_z, D));
        let alignment = alignment::per_cluster(mu_z, log_var_z.clone(), matrix(&mu_c, D), vector(&log_var_c));
        host(Terms::new(log_q.clone(), matrix(&case.log_likelihood, K), alignment, log_var_z).total()).iter().sum()
    };
    let update = |log_q: &Tensor<2>| Moments::of_clusters(points, &variances, &host(log_q.clone().exp()), K);
    let mut log_q = matrix(&case.log_q, K);
    let best = update(&log_q);
    let mut rng = ChaCha8Rng::seed_from_u64(16);
    for _ in 0..300 {
        let mut other = best.clone();
        other.means.iter_mut().for_each(|m| *m += 0.1 * rng.sample::<f64, _>(StandardNormal));
        other.variances.iter_mut().for_each(|v| *v *= (0.1 * rng.sample::<f64, _>(StandardNormal)).exp());
        assert!(bound(&other, &log_q) <= bound(&best, &log_q) + 1e-4);
    }
    let mut last = f64::NEG_INFINITY;
    for _ in 0..20 {
        let prior = update(&log_q);
        let mu_c: Vec<f32> = prior.means.iter().map(|&v| v as f32).collect();
        let log_var_c: Vec<f32> = prior.variances.iter().map(|&v| v.ln() as f32).collect();
        let (mu_z, log_var_z) = (matrix(&case.mu_z, D), matrix(&case.log_var_z, D));
        let alignment = alignment::per_cluster(mu_z, log_var_z, matrix(&mu_c, D), vector(&log_var_c));
        log_q = optimum::log_responsibilities(matrix(&case.log_likelihood, K) + alignment);
        let now = bound(&prior, &log_q);
        assert!(now >= last - 1e-4, "{now} < {last}");
        last = now;
    }
}
