//! From the encoder's output to an [`Assignment`], in f32 and in log space.
//!
//! f16 would lose exp(-20), and with it every cluster but the nearest.

#[cfg(feature = "std")]
mod batch;
mod exp;

use heapless::Vec;

#[cfg(feature = "std")]
pub(crate) use batch::Outputs;
pub(crate) use exp::exp;

use crate::{Assignment, FrameError, MAX_CLUSTERS};

/// log 2π.
const LOG_2PI: f32 = 1.837_877_1;

/// A log K p(c) below this is that of an even share: it is found as a difference, of which this is the rounding.
const EVEN: f32 = 1e-3;

/// Threshold and temperature, fitted to frames that training kept aside, so that an answer means what it says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Calibration {
    /// The novelty past which a frame is called novel, nats.
    pub novelty_threshold: f32,
    /// T, above 0: q(c|x) is proportional to exp(e_c / T), so that a confidence of 0.9 is right nine times in ten
    /// (C. Guo et al., On Calibration of Modern Neural Networks, 2017). 1 leaves the mixture's own responsibilities.
    pub temperature: f32,
}

impl Calibration {
    /// A calibration of this threshold that leaves the mixture's own responsibilities: temperature 1.
    pub const fn threshold(novelty_threshold: f32) -> Self {
        Self { novelty_threshold, temperature: 1.0 }
    }
}

// The means lie in the bytes of the model; where there is a heap, a head may also have them in memory of its own.
core::cfg_select! {
    feature = "std" => {
        type Means<'a> = std::borrow::Cow<'a, [f32]>;
        const fn borrowed(mu_c: &[f32]) -> Means<'_> {
            Means::Borrowed(mu_c)
        }
    }
    _ => {
        type Means<'a> = &'a [f32];
        const fn borrowed(mu_c: &[f32]) -> Means<'_> {
            mu_c
        }
    }
}

/// The latent mixture p(z|c) = N(μ_c, σ_c² I), p(c) = 1/K unless it is learned, whose means stay where the model lies.
///
/// ```
/// use runtime::{Calibration, Head};
///
/// // Two clusters in the plane, of variance 1, at (0, 0) and (4, 0).
/// let mu_c = [0.0, 0.0, 4.0, 0.0];
/// let head = Head::new(&mu_c, &[0.0, 0.0], Calibration::threshold(8.0))?;
///
/// // A latent near the second, of variance exp(-2) in each dimension.
/// let answer = head.assign(&[3.5, 0.1], &[-2.0, -2.0], None)?;
/// assert_eq!((answer.cluster, answer.runner_up), (1, Some(0)));
/// assert!(answer.confidence > 0.9 && !answer.is_novel);
///
/// // One that is far from both.
/// assert!(head.assign(&[0.0, 9.0], &[-2.0, -2.0], None)?.is_novel);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Head<'a> {
    /// μ_c `[K,D]`.
    mu_c: Means<'a>,
    /// Of every cluster 1 / σ_c², and -(D/2) log(2πσ_c²) + log K p(c), of which the latter is 0 unless p(c) is learned.
    scales: Vec<[f32; 2], MAX_CLUSTERS>,
    novelty_threshold: f32,
    /// 1 / T, the inverse of the temperature.
    sharpness: f32,
}

/// Why parameters do not make a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// K is 0 or above [`MAX_CLUSTERS`], or the means are no K equal rows.
    #[error("{means} means and {clusters} variances do not make 1 to {MAX_CLUSTERS} clusters")]
    Shape {
        /// Values among the means μ.
        means: usize,
        /// Values among the log-variances log σ².
        clusters: usize,
    },
    /// A parameter is NaN or infinite, or a weight or the temperature is not above 0.
    #[error("a parameter of the head is not finite, or a weight or the temperature is not above 0")]
    NotFinite,
}

impl<'a> Head<'a> {
    /// A head with means `mu_c` `[K,D]` and log-variances `log_var_c` `[K]`.
    ///
    /// # Errors
    /// If the lengths do not fit, a value is not finite, or the temperature is not above 0.
    pub fn new(mu_c: &'a [f32], log_var_c: &[f32], calibration: Calibration) -> Result<Self, HeadError> {
        Self::weighted(mu_c, log_var_c, &[], calibration)
    }

    /// A head whose p(c) is not 1/K, but is told by `log_weights`, log K p(c) `[K]`; empty for 1/K.
    ///
    /// # Errors
    /// As [`Head::new`].
    pub fn weighted(
        mu_c: &'a [f32],
        log_var_c: &[f32],
        log_weights: &[f32],
        calibration: Calibration,
    ) -> Result<Self, HeadError> {
        let mut head = Self::empty();
        head.init(mu_c, log_var_c, log_weights, calibration)?;
        Ok(head)
    }

    /// A head of no clusters, for [`Head::init`].
    pub(crate) const fn empty() -> Self {
        Self { mu_c: borrowed(&[]), scales: Vec::new(), novelty_threshold: 0.0, sharpness: 1.0 }
    }

    /// Back to [`Head::empty`] in place.
    pub(crate) fn clear(&mut self) {
        self.mu_c = borrowed(&[]);
        self.scales.clear();
    }

    /// [`Head::weighted`] in place.
    pub(crate) fn init(
        &mut self,
        mu_c: &'a [f32],
        log_var_c: &[f32],
        log_weights: &[f32],
        calibration: Calibration,
    ) -> Result<(), HeadError> {
        let Calibration { novelty_threshold, temperature } = calibration;
        let sharpness = 1.0 / temperature;
        let clusters = log_var_c.len();
        let weights_fit = log_weights.is_empty() || log_weights.len() == clusters;
        let means_fit = !mu_c.is_empty() && mu_c.len().is_multiple_of(clusters.max(1));
        if !(1..=MAX_CLUSTERS).contains(&clusters) || !means_fit || !weights_fit {
            return Err(HeadError::Shape { means: mu_c.len(), clusters });
        }
        let values =
            mu_c.iter().chain(log_var_c).chain(log_weights).chain([&novelty_threshold, &temperature, &sharpness]);
        if values.copied().any(|v| !v.is_finite()) || sharpness <= 0.0 {
            return Err(HeadError::NotFinite);
        }
        let d = (mu_c.len() / clusters) as f32;
        (self.mu_c, self.novelty_threshold, self.sharpness) = (borrowed(mu_c), novelty_threshold, sharpness);
        self.scales.clear();
        for (c, &log_var) in log_var_c.iter().enumerate() {
            let log_weight = log_weights.get(c).copied().unwrap_or_default();
            // There is room for K.
            let _ = self.scales.push([exp(-log_var), log_weight - 0.5 * d * (log_var + LOG_2PI)]);
        }
        Ok(())
    }

    /// A head with these variances and threshold, but means `mu_c` `[K,D]` and p(c) in proportion to `weights` `[K]`
    /// times that of this head, as adaptation on the device gives them. The exponents e_c of
    /// [`Head::assign`] then count log K p(c) besides E_q(z|x) log p(z|c).
    ///
    /// # Errors
    /// If the lengths are not those of this head, a value is not finite, or a weight is not above 0.
    pub fn with_mixture<'b>(&self, mu_c: &'b [f32], weights: &[f32]) -> Result<Head<'b>, HeadError> {
        if mu_c.len() != self.mu_c.len() || weights.len() != self.clusters() {
            return Err(HeadError::Shape { means: mu_c.len(), clusters: weights.len() });
        }
        let mean_weight =
            weights.iter().zip(self.shares()).map(|(w, share)| w * share).sum::<f32>() / self.clusters() as f32;
        let positive = weights.iter().all(|w| *w > 0.0) && mean_weight.is_finite();
        if !positive || mu_c.iter().any(|v| !v.is_finite()) {
            return Err(HeadError::NotFinite);
        }
        let mut head = Head { mu_c: borrowed(mu_c), scales: self.scales.clone(), ..*self };
        for ([_, constant], weight) in head.scales.iter_mut().zip(weights) {
            *constant += libm::logf(weight / mean_weight);
        }
        Ok(head)
    }

    /// The same head, which no longer borrows from the model.
    #[cfg(feature = "std")]
    pub fn into_owned(self) -> Head<'static> {
        let Self { mu_c, scales, novelty_threshold, sharpness } = self;
        Head { mu_c: mu_c.into_owned().into(), scales, novelty_threshold, sharpness }
    }

    /// The means μ_c `[K,D]`.
    pub fn means(&self) -> &[f32] {
        self.mu_c.iter().as_slice()
    }

    /// The precision 1 / σ_c² of every cluster, in order.
    pub fn precisions(&self) -> impl Iterator<Item = f32> + '_ {
        self.scales.iter().map(|[precision, _]| *precision)
    }

    /// K p(c) of every cluster, in order; 1 where p(c) is not learned.
    pub fn shares(&self) -> impl Iterator<Item = f32> + '_ {
        let d = self.latent() as f32;
        self.scales.iter().map(move |[precision, constant]| {
            let log_share = constant + 0.5 * d * (LOG_2PI - libm::logf(*precision));
            if log_share.abs() < EVEN { 1.0 } else { exp(log_share) }
        })
    }

    /// The novelty past which a frame is called novel, nats.
    pub fn novelty_threshold(&self) -> f32 {
        self.novelty_threshold
    }

    /// Clusters K.
    pub fn clusters(&self) -> usize {
        self.scales.len()
    }

    /// Latent dimensions D.
    pub fn latent(&self) -> usize {
        // Neither is ever 0, which the compiler cannot know.
        (self.mu_c.len() / self.scales.len().max(1)).max(1)
    }

    /// Assigns a frame from m and log v `[D]`.
    ///
    /// With q(z|x) = N(m, diag v), the exponent of a cluster is the expected log-density of the latent under it,
    ///
    /// ```text
    /// e_c = E_q(z|x) log p(z|c) = -(D/2) log(2πσ_c²) - (‖m - μ_c‖² + Σ_d v_d) / (2σ_c²)
    /// ```
    ///
    /// log q(c|x) is the log-softmax of e_c / T, or of `logits` `[K]` / T where the model has a learned cluster head;
    /// novelty is -log Σ_c exp(e_c)/K, nats. Weights other than 1/K are in e_c, see [`Head::with_mixture`]; T is
    /// [`Calibration::temperature`].
    ///
    /// # Errors
    /// [`FrameError::Length`] if a length is not D (or K), [`FrameError::Overflow`] if a result is not finite.
    pub fn assign(&self, mu_z: &[f32], log_var_z: &[f32], logits: Option<&[f32]>) -> Result<Assignment, FrameError> {
        self.assign_frame([mu_z, log_var_z], logits, false)
    }

    /// [`Head::assign`] of a frame of which is known whether it lies outside the range seen in training: an assignment is
    /// large, and one that is changed later is moved on the stack.
    pub(crate) fn assign_frame(
        &self,
        [mu_z, log_var_z]: [&[f32]; 2],
        logits: Option<&[f32]>,
        is_outside: bool,
    ) -> Result<Assignment, FrameError> {
        let d = self.latent();
        for found in [mu_z.len(), log_var_z.len()] {
            if found != d {
                return Err(FrameError::Length { expected: d, found });
            }
        }
        let total_variance: f32 = log_var_z.iter().map(|&v| exp(v)).sum();
        // One vector for the exponents, the logits and log q(c|x), since it is the largest part of the stack. It holds K.
        let mut log_q: Vec<f32, MAX_CLUSTERS> = Vec::new();
        for (cluster, [precision, constant]) in self.scales.iter().enumerate() {
            let mean = self.mu_c.get(cluster * d..(cluster + 1) * d).unwrap_or_default();
            let distance: f32 = mu_z.iter().zip(mean).map(|(m, c)| (m - c) * (m - c)).sum();
            let _ = log_q.push(constant - 0.5 * (distance + total_variance) * precision);
        }
        let novelty = libm::logf(self.clusters() as f32) - log_sum_exp(&log_q);
        if let Some(logits) = logits {
            if logits.len() != self.clusters() {
                return Err(FrameError::Length { expected: self.clusters(), found: logits.len() });
            }
            log_q.iter_mut().zip(logits).for_each(|(slot, logit)| *slot = *logit);
        }
        // The largest goes first, so that what is left is small: of exponents of 10⁸ the normaliser itself would be rounded
        // away. It also keeps what a sharp temperature multiplies at 0.
        let max = largest(&log_q);
        log_q.iter_mut().for_each(|v| *v = (*v - max) * self.sharpness);
        let normalizer = log_sum_exp(&log_q);
        log_q.iter_mut().for_each(|v| *v -= normalizer);
        if !novelty.is_finite() || log_q.iter().any(|v| v.is_nan()) {
            return Err(FrameError::Overflow);
        }
        let (cluster, runner_up) = best_two(&log_q);
        Ok(Assignment {
            cluster,
            confidence: log_q.get(cluster).map_or(0.0, |&v| exp(v)),
            runner_up,
            novelty,
            is_novel: novelty > self.novelty_threshold,
            is_outside,
            log_responsibilities: log_q,
        })
    }
}

/// log Σ exp of the values, without overflow.
fn log_sum_exp(values: &[f32]) -> f32 {
    let max = largest(values);
    max + libm::logf(values.iter().map(|&v| exp(v - max)).sum())
}

/// The largest value, of those that are numbers.
#[cfg_attr(not(feature = "std"), inline(never))]
fn largest(values: &[f32]) -> f32 {
    values.iter().copied().fold(f32::NEG_INFINITY, f32::max)
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
