//! M-step: the parameters that maximise the expected complete-data log-likelihood (MLE, §5.2.1) or
//! log-posterior (MAP, §5.2.2).

use nalgebra::{DMatrix, DVector};

use super::{Covariance, CovarianceType, Mixture, Points};

/// What the M-step maximises.
#[derive(Clone, Debug)]
pub enum Estimator {
    /// Likelihood; `reg_covar` is added to every variance.
    Mle {
        /// Floor of the variances.
        reg_covar: f64,
    },
    /// Posterior under a conjugate prior.
    Map(ConjugatePrior),
    /// Posterior under inverse Wishart priors whose scale is what the components have in common (empirical Bayes): every
    /// covariance is drawn towards the pooled one, Σ_k = (1 - s) S_k/N_k + s Σ_j S_j/N, as in regularised discriminant
    /// analysis (Friedman 1989). No component can then grow wide enough to gather what is rare in the others.
    Pooled {
        /// Floor of the variances.
        reg_covar: f64,
        /// Share s of the pooled covariance: 0 is [`Estimator::Mle`], 1 one covariance for all.
        share: f64,
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
        let (n, d) = (points.len() as f64, points.dim());
        let mut mean = DVector::zeros(d);
        points.rows().for_each(|x| mean += DVector::from_column_slice(x));
        mean /= n;
        let mut scale = DMatrix::zeros(d, d);
        for x in points.rows() {
            let delta = DVector::from_column_slice(x) - &mean;
            scale.ger(1.0, &delta, &delta, 1.0);
        }
        scale /= n * (components as f64).powf(2.0 / d as f64);
        // Constant data still needs a positive definite scale.
        for i in 0..d {
            scale[(i, i)] = scale[(i, i)].max(1e-6);
        }
        let nu = d as f64 + 2.0;
        let rate = (0..d).map(|i| scale[(i, i)] / 2.0).collect();
        Self { alpha: 2.0, kappa: 0.01, mean: mean.as_slice().to_vec(), nu, scale, shape: nu / 2.0, rate }
    }

    /// Scale b₀ for isotropic covariances: the sum over dimensions.
    fn isotropic_rate(&self) -> f64 {
        self.rate.iter().sum()
    }

    /// log p(θ) up to a constant that does not depend on θ, nats.
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
                    Covariance::Full(m) => {
                        let trace =
                            nalgebra::Cholesky::new(m.clone()).map_or(f64::INFINITY, |c| c.solve(&self.scale).trace());
                        -0.5 * (self.nu + d as f64 + 2.0) * log_det - 0.5 * trace
                    }
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
}

/// The mixture that is best for these responsibilities `[N,K]`.
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
        Estimator::Mle { .. } | Estimator::Pooled { .. } => counts.clone(),
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
        .map(|k| {
            let r = responsibilities.iter().skip(k).step_by(components).copied();
            scatter(points, r, &centres[k * d..(k + 1) * d], kind)
        })
        .collect();
    let scatters = match estimator {
        Estimator::Pooled { share, .. } => pool(scatters, &counts, *share),
        _ => scatters,
    };
    let covariances = scatters
        .into_iter()
        .enumerate()
        .map(|(k, scatter)| estimator.covariance(scatter, counts[k], &centres[k * d..(k + 1) * d]))
        .collect();
    Mixture { weights, means, covariances }
}

/// N_k `[K]` and the weighted means x̄_k `[K,D]`.
fn first_moments(points: Points<'_>, responsibilities: &[f64], k: usize) -> (Vec<f64>, Vec<f64>) {
    let d = points.dim();
    let mut counts = vec![0.0; k];
    let mut means = vec![0.0; k * d];
    for (x, row) in points.rows().zip(responsibilities.chunks_exact(k)) {
        for (c, &r) in row.iter().enumerate() {
            counts[c] += r;
            for (m, x) in means[c * d..(c + 1) * d].iter_mut().zip(x) {
                *m += r * x;
            }
        }
    }
    for (mean, count) in means.chunks_exact_mut(d).zip(&counts) {
        mean.iter_mut().for_each(|m| *m /= count.max(f64::MIN_POSITIVE));
    }
    (counts, means)
}

/// The weighted scatter S_k in the family's own form: matrix, diagonal, or trace.
fn scatter(points: Points<'_>, r: impl Iterator<Item = f64>, centre: &[f64], kind: CovarianceType) -> Covariance {
    let d = centre.len();
    let mut sums = vec![0.0; if kind == CovarianceType::Full { d * d } else { d }];
    let mut delta = vec![0.0; d];
    for (x, r) in points.rows().zip(r) {
        // Most responsibilities are 0 to the last bit once clusters are apart.
        if r == 0.0 {
            continue;
        }
        for ((delta, x), m) in delta.iter_mut().zip(x).zip(centre) {
            *delta = x - m;
        }
        match kind {
            CovarianceType::Full => {
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
        CovarianceType::Full => Covariance::Full(DMatrix::from_fn(d, d, |i, j| sums[i.max(j) * d + i.min(j)])),
        CovarianceType::Diagonal => Covariance::Diagonal(sums),
        CovarianceType::Isotropic => Covariance::Isotropic(sums.iter().sum()),
    }
}

/// (1 - s) S_k + s N_k/N Σ_j S_j for every component.
fn pool(scatters: Vec<Covariance>, counts: &[f64], share: f64) -> Vec<Covariance> {
    let total = counts.iter().sum::<f64>().max(f64::MIN_POSITIVE);
    let mut all = scatters[0].clone();
    scatters[1..].iter().for_each(|scatter| all = all.sum(1.0, scatter, 1.0));
    scatters.iter().zip(counts).map(|(scatter, count)| scatter.sum(1.0 - share, &all, share * count / total)).collect()
}

impl Estimator {
    /// Σ_k from the scatter S_k around x̄_k and the count N_k.
    fn covariance(&self, scatter: Covariance, count: f64, centre: &[f64]) -> Covariance {
        let d = centre.len() as f64;
        match self {
            Self::Mle { reg_covar } | Self::Pooled { reg_covar, .. } => {
                let n = count.max(f64::MIN_POSITIVE);
                match scatter {
                    Covariance::Full(s) => {
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
                    Covariance::Full(s) => {
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
