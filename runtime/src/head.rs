//! From the encoder's output to an [`Assignment`], in f32 and in log space.
//!
//! f16 would lose exp(-20), and with it every cluster but the nearest.

use core::f32::consts::PI;

use heapless::Vec;

use crate::{Assignment, FrameError, MAX_CLUSTERS};

/// The latent mixture p(z|c) = N(μ_c, σ_c² I), p(c) = 1/K, borrowed from wherever the model lies.
#[derive(Clone, Debug)]
pub struct Head<'a> {
    mu_c: &'a [f32],
    /// 1 / σ_c², and log N(μ_c; μ_c, σ_c² I).
    scales: Vec<[f32; 2], MAX_CLUSTERS>,
    novelty_threshold: f32,
}

/// Why parameters do not make a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// K is 0 or above [`MAX_CLUSTERS`], or the means are no K equal rows.
    #[error("{means} means and {clusters} variances do not make 1 to {MAX_CLUSTERS} clusters")]
    Shape {
        /// Values in μ.
        means: usize,
        /// Values in log σ².
        clusters: usize,
    },
    /// A parameter is NaN or infinite.
    #[error("a parameter of the head is not finite")]
    NotFinite,
}

impl<'a> Head<'a> {
    /// A head with means `mu_c` `[K,D]`, log-variances `log_var_c` `[K]` and the novelty past which a frame
    /// is called novel.
    ///
    /// # Errors
    /// If the lengths do not fit or a value is not finite.
    pub fn new(mu_c: &'a [f32], log_var_c: &'a [f32], novelty_threshold: f32) -> Result<Self, HeadError> {
        let clusters = log_var_c.len();
        if !(1..=MAX_CLUSTERS).contains(&clusters) || mu_c.is_empty() || !mu_c.len().is_multiple_of(clusters) {
            return Err(HeadError::Shape { means: mu_c.len(), clusters });
        }
        if mu_c.iter().chain(log_var_c).chain([&novelty_threshold]).any(|v| !v.is_finite()) {
            return Err(HeadError::NotFinite);
        }
        let d = (mu_c.len() / clusters) as f32;
        let scales = log_var_c
            .iter()
            .map(|&log_var| [libm::expf(-log_var), -0.5 * d * (log_var + libm::logf(2.0 * PI))])
            .collect();
        Ok(Self { mu_c, scales, novelty_threshold })
    }

    /// Clusters K.
    pub fn clusters(&self) -> usize {
        self.scales.len()
    }

    /// Latent dimensions D.
    pub fn latent(&self) -> usize {
        self.mu_c.len() / self.scales.len()
    }

    /// Assigns a frame from m and log v `[D]`.
    ///
    /// The exponents are e_c = E_q(z|x) log p(z|c) (E3); log q(c|x) is their log-softmax, or that of
    /// `logits` `[K]` where the model has a learned cluster head; novelty is -log Σ_c exp(e_c)/K.
    ///
    /// # Errors
    /// [`FrameError::Length`] if a length is not D (or K), [`FrameError::Overflow`] if a result is not finite.
    pub fn assign(&self, mu_z: &[f32], log_var_z: &[f32], logits: Option<&[f32]>) -> Result<Assignment, FrameError> {
        let d = self.latent();
        for found in [mu_z.len(), log_var_z.len()] {
            if found != d {
                return Err(FrameError::Length { expected: d, found });
            }
        }
        let total_variance: f32 = log_var_z.iter().map(|&v| libm::expf(v)).sum();
        let exponents: Vec<f32, MAX_CLUSTERS> = self
            .mu_c
            .chunks_exact(d)
            .zip(&self.scales)
            .map(|(mean, [precision, constant])| {
                let distance: f32 = mu_z.iter().zip(mean).map(|(m, c)| (m - c) * (m - c)).sum();
                constant - 0.5 * (distance + total_variance) * precision
            })
            .collect();
        let evidence = log_sum_exp(&exponents);
        let novelty = libm::logf(self.clusters() as f32) - evidence;
        let (mut log_q, normalizer) = match logits {
            None => (exponents, evidence),
            Some(logits) => {
                let logits: Vec<f32, MAX_CLUSTERS> = Vec::from_slice(logits)
                    .ok()
                    .filter(|l: &Vec<f32, MAX_CLUSTERS>| l.len() == self.clusters())
                    .ok_or(FrameError::Length { expected: self.clusters(), found: logits.len() })?;
                let normalizer = log_sum_exp(&logits);
                (logits, normalizer)
            }
        };
        log_q.iter_mut().for_each(|v| *v -= normalizer);
        if !(novelty.is_finite() && normalizer.is_finite()) || log_q.iter().any(|v| v.is_nan()) {
            return Err(FrameError::Overflow);
        }
        let (cluster, runner_up) = best_two(&log_q);
        Ok(Assignment {
            cluster,
            confidence: log_q.get(cluster).map_or(0.0, |&v| libm::expf(v)),
            runner_up,
            novelty,
            is_novel: novelty > self.novelty_threshold,
            log_responsibilities: log_q,
        })
    }
}

fn log_sum_exp(values: &[f32]) -> f32 {
    let max = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    max + libm::logf(values.iter().map(|&v| libm::expf(v - max)).sum())
}

/// Indices of the largest and the second largest value; of equal ones the first.
fn best_two(values: &[f32]) -> (usize, Option<usize>) {
    let mut best = (0, f32::NEG_INFINITY);
    let mut second = None;
    let mut second_value = f32::NEG_INFINITY;
    for (index, &value) in values.iter().enumerate() {
        if index == 0 || value > best.1 {
            if index > 0 {
                (second, second_value) = (Some(best.0), best.1);
            }
            best = (index, value);
        } else if second.is_none() || value > second_value {
            (second, second_value) = (Some(index), value);
        }
    }
    (best.0, second)
}
