//! M-step: the parameters that maximise the expected complete-data log-likelihood (MLE, §5.2.1) or
//! log-posterior (MAP, §5.2.2).
//!
//! With r_nk the responsibilities, times the weight of the point where points have weights, N_k = Σ_n r_nk, x̄_k = Σ_n r_nk x_n / N_k, S_k = Σ_n r_nk (x_n -
//! x̄_k)(x_n - x̄_k)ᵀ, h = κ₀ N_k/(κ₀ + N_k) and δ = x̄_k - m₀:
//!
//! | | MLE | MAP |
//! |---|---|---|
//! | π_k | N_k/N | (N_k + α - 1)/(N + K(α - 1)), clamped at 0 for α < 1 |
//! | μ_k | x̄_k | (N_k x̄_k + κ₀ m₀)/(N_k + κ₀) |
//! | Σ_k full | S_k/N_k | (S₀ + S_k + h δδᵀ)/(N_k + ν₀ + D + 2) |
//! | Σ tied | Σ_k S_k/N | (S₀ + Σ_k (S_k + h δδᵀ))/(N + ν₀ + D + 1 + K) |
//! | σ²_kd diagonal | S_kdd/N_k | (b₀d + ½ S_kdd + ½ h δ_d²)/(a₀ + N_k/2 + 3/2) |
//! | σ²_k isotropic | tr S_k/(D N_k) | (b₀ + ½ tr S_k + ½ h‖δ‖²)/(a₀ + N_k D/2 + D/2 + 1) |
//!
//! The prior is Dirichlet(α) for the weights and normal-inverse-Wishart, or normal-inverse-gamma,
//! for each component; components of a tied covariance share one inverse-Wishart prior. Put into the sum of squares, its optimal μ_k leaves S_k + h δδᵀ, which is
//! why S_k is taken around x̄_k in both columns. Weights are scaled to sum to 1 after the clamp.
//! For isotropic covariances b₀ is the sum of b₀d over dimensions. For MLE `reg_covar` is added to
//! every variance in the table. Of ten identical points MLE makes a variance that only `reg_covar`
//! holds up, while that of MAP stays finite by the prior.
//!
//! The points are walked once for N_k and x̄_k of each component, and once more for its scatter. Taking the scatter around
//! the finished mean costs that second walk and does not cancel, as Σ r x xᵀ - N_k x̄ x̄ᵀ would. Of a full scatter only the lower triangle is summed, and
//! points of responsibility 0 are skipped: N·K·D²/2 multiply-adds at most, N·K·D for the other
//! families.

use nalgebra::{Cholesky, DMatrix, DVector};
use rayon::prelude::*;

use super::{Covariance, CovarianceType, Mixture, Points};

/// Objective that the M-step maximises.
#[derive(Clone, Debug)]
pub enum Estimator {
    /// Likelihood; `reg_covar` is added to every variance.
    Mle {
        /// Amount added to every variance, which keeps it from 0.
        reg_covar: f64,
    },
    /// Posterior under a conjugate prior.
    Map(ConjugatePrior),
    /// Posterior under inverse Wishart priors whose scale is what the components have in common
    /// (empirical Bayes).
    ///
    /// Scale and strength of these priors follow the responsibilities, so EM has no one posterior that it would climb; it
    /// comes to rest where its own responsibilities give the mixture back.
    ///
    /// Every covariance is drawn towards the pooled one, Σ_k = (1 - s) S_k/N_k + s Σ_j S_j/N, as in
    /// regularised discriminant analysis (Friedman 1989). No component can then grow wide enough to
    /// gather what is rare in the others.
    Pooled {
        /// Amount added to every variance, which keeps it from 0.
        reg_covar: f64,
        /// Share s of the pooled covariance: 0 is [`Estimator::Mle`], 1 one covariance for all.
        share: f64,
    },
    /// Likelihood of covariances of one shape and different size, Σ_k = s_k Σ (model VEE of Celeux and Govaert 1995).
    ///
    /// The map that whitens Σ makes every component isotropic: the mixture is then the prior p(z|c) of the cluster VAE
    /// behind a linear encoder.
    Proportional {
        /// Amount added to every variance of Σ, which keeps it from 0.
        reg_covar: f64,
    },
}

/// Dirichlet prior of the weights and normal-inverse-Wishart prior of each component
/// (normal-inverse-gamma for diagonal and isotropic covariances).
#[derive(Clone, Debug)]
pub struct ConjugatePrior {
    /// Dirichlet concentration α, the same for every component.
    pub alpha: f64,
    /// Strength κ₀ of the prior mean, in points.
    pub kappa: f64,
    /// Prior mean m₀ `[D]`.
    pub mean: Vec<f64>,
    /// Degrees of freedom ν₀ of the inverse Wishart, above D - 1.
    pub nu: f64,
    /// Scale matrix S₀ `[D,D]` of the inverse Wishart.
    pub scale: DMatrix<f64>,
    /// Shape a₀ of the inverse gamma.
    pub shape: f64,
    /// Scale b₀ of the inverse gamma, one a dimension for diagonal covariances `[D]`.
    pub rate: Vec<f64>,
}

impl ConjugatePrior {
    /// The weak prior of Fraley and Raftery (2007): κ₀ = 0.01, ν₀ = D + 2, S₀ = Cov(x) / K^(2/D).
    pub fn weak(points: Points<'_>, components: usize) -> Self {
        let (n, d) = (points.total_weight(), points.dim());
        let mut mean = DVector::zeros(d);
        points.rows().zip(points.weights()).for_each(|(x, w)| mean += DVector::from_column_slice(x) * w);
        mean /= n;
        let mut scale = DMatrix::zeros(d, d);
        for (x, weight) in points.rows().zip(points.weights()) {
            let delta = DVector::from_column_slice(x) - &mean;
            scale.ger(weight, &delta, &delta, 1.0);
        }
        scale /= n * (components as f64).powf(2.0 / d as f64);
        // Constant columns, and columns that hang on each other, still need a positive definite scale.
        let largest = scale.diagonal().max();
        let ridge = 1e-6 * if largest > 0.0 { largest } else { 1.0 };
        (0..d).for_each(|i| scale[(i, i)] += ridge);
        let nu = d as f64 + 2.0;
        let rate = (0..d).map(|i| scale[(i, i)] / 2.0).collect();
        Self { alpha: 2.0, kappa: 0.01, mean: mean.as_slice().to_vec(), nu, scale, shape: nu / 2.0, rate }
    }

    /// Scale b₀ of the inverse gamma for isotropic covariances: the sum over dimensions.
    fn isotropic_rate(&self) -> f64 {
        self.rate.iter().sum()
    }

    /// Log-density log p(θ) of the parameters of a mixture, nats, up to a constant that does not
    /// depend on them.
    ///
    /// For each component -½ κ₀ (μ - m₀)ᵀ Σ⁻¹ (μ - m₀), and of its covariance
    /// - full: -½ (ν₀ + D + 2) log det Σ - ½ tr(S₀ Σ⁻¹)
    /// - tied: -½ log det Σ for each, and once -½ (ν₀ + D + 1) log det Σ - ½ tr(S₀ Σ⁻¹)
    /// - diagonal: Σ_d -(a₀ + 3/2) log σ²_d - b₀d/σ²_d
    /// - isotropic: -(a₀ + 1 + D/2) log σ² - b₀/σ², b₀ the sum over dimensions
    ///
    /// and of the weights (α - 1) Σ_k log π_k.
    pub fn log_density(&self, mixture: &Mixture) -> f64 {
        let d = mixture.dim();
        let weights: f64 = match self.alpha {
            1.0 => 0.0,
            alpha => mixture.weights.iter().map(|w| (alpha - 1.0) * w.ln()).sum(),
        };
        let mut difference = vec![0.0; d];
        let components: f64 = mixture
            .covariances
            .iter()
            .enumerate()
            .map(|(k, covariance)| {
                let Some((whitening, log_det)) = covariance.whitening(d) else { return f64::NEG_INFINITY };
                let distance = whitening.squared_distance(mixture.mean(k), &self.mean, &mut difference);
                let mean = -0.5 * self.kappa * distance;
                mean + match covariance {
                    Covariance::Full(m) => -0.5 * log_det + self.log_wishart(m, log_det),
                    Covariance::Tied(m) if k == 0 => -0.5 * log_det + self.log_wishart(m, log_det),
                    Covariance::Tied(_) => -0.5 * log_det,
                    Covariance::Diagonal(v) => {
                        v.iter().zip(&self.rate).map(|(v, b)| -(self.shape + 1.5) * v.ln() - b / v).sum::<f64>()
                    }
                    Covariance::Isotropic(v) => {
                        -(self.shape + 1.0 + d as f64 / 2.0) * v.ln() - self.isotropic_rate() / v
                    }
                }
            })
            .sum();
        weights + components
    }

    /// Log-density of the inverse Wishart at Σ up to a constant, -½ (ν₀ + D + 1) log det Σ - ½ tr(S₀ Σ⁻¹), nats.
    fn log_wishart(&self, covariance: &DMatrix<f64>, log_det: f64) -> f64 {
        let trace = Cholesky::new(covariance.clone()).map_or(f64::INFINITY, |c| c.solve(&self.scale).trace());
        -0.5 * (self.nu + covariance.nrows() as f64 + 1.0) * log_det - 0.5 * trace
    }
}

/// The mixture that is best for these responsibilities `[N,K]`.
///
/// A tied covariance is the same under [`Estimator::Pooled`] and [`Estimator::Proportional`] as under
/// [`Estimator::Mle`]: it is pooled as far as can be.
pub fn m_step(
    points: Points<'_>,
    responsibilities: &[f64],
    components: usize,
    kind: CovarianceType,
    estimator: &Estimator,
) -> Mixture {
    let d = points.dim();
    let (counts, centres) = first_moments(points, responsibilities, components);
    let mut weights: Vec<f64> = match estimator {
        Estimator::Mle { .. } | Estimator::Pooled { .. } | Estimator::Proportional { .. } => counts.clone(),
        Estimator::Map(prior) => counts.iter().map(|n| (n + prior.alpha - 1.0).max(0.0)).collect(),
    };
    let total: f64 = weights.iter().sum();
    weights.iter_mut().for_each(|w| *w /= total);

    let mut means = centres.clone();
    if let Estimator::Map(prior) = estimator {
        for (k, mean) in means.chunks_exact_mut(d).enumerate() {
            for (m, m0) in mean.iter_mut().zip(&prior.mean) {
                *m = (counts[k] * *m + prior.kappa * m0) / (counts[k] + prior.kappa);
            }
        }
    }
    let scatters: Vec<Covariance> = (0..components)
        .into_par_iter()
        .map(|k| {
            let r = responsibilities.iter().skip(k).step_by(components).copied();
            scatter(points, r, &centres[k * d..(k + 1) * d], kind)
        })
        .collect();
    if kind == CovarianceType::Tied {
        let covariance = estimator.tied_covariance(&scatters, &counts, &centres);
        return Mixture { weights, means, covariances: vec![covariance; components] };
    }
    let scatters = match estimator {
        Estimator::Pooled { share, .. } => pool(scatters, &counts, *share),
        Estimator::Proportional { reg_covar } => {
            return Mixture { weights, means, covariances: proportional(&scatters, &counts, *reg_covar, d) };
        }
        _ => scatters,
    };
    let covariances = scatters
        .into_iter()
        .enumerate()
        .map(|(k, scatter)| estimator.covariance(scatter, counts[k], &centres[k * d..(k + 1) * d]))
        .collect();
    Mixture { weights, means, covariances }
}

/// Counts N_k `[K]` and weighted means x̄_k `[K,D]`, in a walk over the points for each component.
fn first_moments(points: Points<'_>, responsibilities: &[f64], k: usize) -> (Vec<f64>, Vec<f64>) {
    let d = points.dim();
    let mut counts = vec![0.0; k];
    let mut means = vec![0.0; k * d];
    means.par_chunks_exact_mut(d).zip(&mut counts).enumerate().for_each(|(c, (mean, count))| {
        for ((x, weight), row) in points.rows().zip(points.weights()).zip(responsibilities.chunks_exact(k)) {
            let r = weight * row[c];
            *count += r;
            for (m, x) in mean.iter_mut().zip(x) {
                *m += r * x;
            }
        }
    });
    for (mean, count) in means.chunks_exact_mut(d).zip(&counts) {
        mean.iter_mut().for_each(|m| *m /= count.max(f64::MIN_POSITIVE));
    }
    (counts, means)
}

/// Weighted scatter S_k of one component in the family's own form: matrix, which a tied covariance is made from too,
/// diagonal, or trace.
fn scatter(points: Points<'_>, r: impl Iterator<Item = f64>, centre: &[f64], kind: CovarianceType) -> Covariance {
    let d = centre.len();
    let is_matrix = matches!(kind, CovarianceType::Full | CovarianceType::Tied);
    let mut sums = vec![0.0; if is_matrix { d * d } else { d }];
    let mut delta = vec![0.0; d];
    for ((x, weight), r) in points.rows().zip(points.weights()).zip(r) {
        let r = weight * r;
        // Most responsibilities are 0 to the last bit once clusters are apart.
        if r == 0.0 {
            continue;
        }
        for ((delta, x), m) in delta.iter_mut().zip(x).zip(centre) {
            *delta = x - m;
        }
        match kind {
            CovarianceType::Full | CovarianceType::Tied => {
                for (i, row) in sums.chunks_exact_mut(d).enumerate() {
                    let scaled = r * delta[i];
                    for (s, delta) in row[..=i].iter_mut().zip(&delta) {
                        *s += scaled * delta;
                    }
                }
            }
            _ => sums.iter_mut().zip(&delta).for_each(|(s, delta)| *s += r * delta * delta),
        }
    }
    match kind {
        CovarianceType::Full | CovarianceType::Tied => {
            Covariance::Full(DMatrix::from_fn(d, d, |i, j| sums[i.max(j) * d + i.min(j)]))
        }
        CovarianceType::Diagonal => Covariance::Diagonal(sums),
        CovarianceType::Isotropic => Covariance::Isotropic(sums.iter().sum()),
    }
}

/// Scatters drawn towards the common one, (1 - s) S_k + s N_k/N Σ_j S_j, which divided by N_k are
/// the pooled covariances.
fn pool(scatters: Vec<Covariance>, counts: &[f64], share: f64) -> Vec<Covariance> {
    let total = counts.iter().sum::<f64>().max(f64::MIN_POSITIVE);
    let mut all = scatters[0].clone();
    scatters[1..].iter().for_each(|scatter| all = all.sum(1.0, scatter, 1.0));
    scatters.iter().zip(counts).map(|(scatter, count)| scatter.sum(1.0 - share, &all, share * count / total)).collect()
}

/// Largest number of rounds of [`proportional`]; it converges geometrically.
const ROUNDS: usize = 30;

/// Covariances s_k Σ of one shape from the scatters S_k: Σ = Σ_k S_k/s_k / N and s_k = tr(S_k Σ⁻¹)/(D N_k) in turns, each
/// the best given the other. One point of scatter Σ is added to every component, so that none is of size 0.
fn proportional(scatters: &[Covariance], counts: &[f64], reg_covar: f64, d: usize) -> Vec<Covariance> {
    let total = counts.iter().sum::<f64>().max(f64::MIN_POSITIVE);
    let mut sizes = vec![1.0; scatters.len()];
    let mut shape = scatters[0].clone();
    for _ in 0..ROUNDS {
        shape = scatters[0].scaled(1.0 / (sizes[0] * total));
        for (scatter, size) in scatters[1..].iter().zip(&sizes[1..]) {
            shape = shape.sum(1.0, scatter, 1.0 / (size * total));
        }
        shape = shape.scatter_to_covariance(d).with_added(reg_covar);
        let found: Vec<f64> = scatters
            .iter()
            .zip(counts)
            .map(|(scatter, count)| (scatter.trace_over(&shape) + d as f64) / (d as f64 * (count + 1.0)))
            .collect();
        let change = found.iter().zip(&sizes).map(|(a, b)| (a / b).ln().abs()).fold(0.0, f64::max);
        sizes = found;
        // NaN where the shape is not positive definite, which the E-step tells.
        if change <= 1e-9 || change.is_nan() {
            break;
        }
    }
    sizes.iter().map(|size| shape.scaled(*size)).collect()
}

impl Estimator {
    /// The covariance of all components from their scatters S_k, counts N_k `[K]` and means x̄_k `[K,D]`: the row of the
    /// module's table that is tied.
    fn tied_covariance(&self, scatters: &[Covariance], counts: &[f64], centres: &[f64]) -> Covariance {
        let d = centres.len() / counts.len();
        let mut sum = DMatrix::zeros(d, d);
        for scatter in scatters {
            let Covariance::Full(s) = scatter else { unreachable!("the scatters of a tied covariance are matrices") };
            sum += s;
        }
        let count = counts.iter().sum::<f64>().max(f64::MIN_POSITIVE);
        Covariance::Tied(match self {
            Self::Mle { reg_covar } | Self::Pooled { reg_covar, .. } | Self::Proportional { reg_covar } => {
                sum / count + DMatrix::identity(d, d) * *reg_covar
            }
            Self::Map(prior) => {
                let prior_mean = DVector::from_column_slice(&prior.mean);
                for (centre, n) in centres.chunks_exact(d).zip(counts) {
                    let delta = DVector::from_column_slice(centre) - &prior_mean;
                    sum.ger(prior.kappa * n / (prior.kappa + n), &delta, &delta, 1.0);
                }
                (sum + &prior.scale) / (count + prior.nu + d as f64 + 1.0 + counts.len() as f64)
            }
        })
    }

    /// Covariance Σ_k from the scatter S_k around x̄_k, the count N_k and `centre`, x̄_k: a row of
    /// the module's table.
    fn covariance(&self, scatter: Covariance, count: f64, centre: &[f64]) -> Covariance {
        let d = centre.len() as f64;
        match self {
            Self::Mle { reg_covar } | Self::Pooled { reg_covar, .. } | Self::Proportional { reg_covar } => {
                let n = count.max(f64::MIN_POSITIVE);
                match scatter {
                    Covariance::Full(s) | Covariance::Tied(s) => {
                        Covariance::Full(s / n + DMatrix::identity(centre.len(), centre.len()) * *reg_covar)
                    }
                    Covariance::Diagonal(s) => Covariance::Diagonal(s.iter().map(|s| s / n + reg_covar).collect()),
                    Covariance::Isotropic(s) => Covariance::Isotropic(s / (d * n) + reg_covar),
                }
            }
            Self::Map(prior) => {
                let delta: Vec<f64> = centre.iter().zip(&prior.mean).map(|(x, m)| x - m).collect();
                let h = prior.kappa * count / (prior.kappa + count);
                match scatter {
                    Covariance::Full(s) | Covariance::Tied(s) => {
                        let delta = DVector::from_vec(delta);
                        let sum = &prior.scale + s + &delta * delta.transpose() * h;
                        Covariance::Full(sum / (count + prior.nu + d + 2.0))
                    }
                    Covariance::Diagonal(s) => Covariance::Diagonal(
                        s.iter()
                            .zip(&delta)
                            .zip(&prior.rate)
                            .map(|((s, delta), b)| {
                                (b + 0.5 * s + 0.5 * h * delta * delta) / (prior.shape + 0.5 * count + 1.5)
                            })
                            .collect(),
                    ),
                    Covariance::Isotropic(s) => {
                        let square: f64 = delta.iter().map(|v| v * v).sum();
                        let numerator = prior.isotropic_rate() + 0.5 * s + 0.5 * h * square;
                        Covariance::Isotropic(numerator / (prior.shape + 0.5 * count * d + 0.5 * d + 1.0))
                    }
                }
            }
        }
    }
}
