//! The head for many frames at once: a vector holds one value of several frames, and every frame's sums are added in the
//! order of [`Head::assign`], so that both give the same bits.

use std::vec::Vec;

use super::{Head, exp};
use crate::kernels::{Kernel, Work};
use crate::native::clamped;
use crate::{Assignment, FrameError, MAX_CLUSTERS};

/// Frames side by side.
const LANES: usize = 16;
/// One value of each of the frames side by side.
type Lanes = [f32; LANES];

/// The outputs of the last layer for many frames: m `[D]`, log v `[D]` and, with a learned head, logits `[K]`, side by
/// side.
#[derive(Clone, Copy)]
pub struct Outputs<'a> {
    /// Outputs, a row a frame.
    pub values: &'a [f32],
    /// From one row to the next, in values.
    pub stride: usize,
    /// Range that log v is clamped to.
    pub log_var_range: [f32; 2],
    /// Whether a row ends with logits.
    pub learned_head: bool,
}

impl Head<'_> {
    /// Appends the assignments of all frames.
    ///
    /// # Errors
    /// As [`Head::assign`], for the first frame that it is true of.
    pub fn assign_batch(
        &self,
        kernel: Kernel,
        outputs: Outputs<'_>,
        assignments: &mut Vec<Assignment>,
    ) -> Result<(), FrameError> {
        let width = 2 * self.latent() + if outputs.learned_head { self.clusters() } else { 0 };
        if outputs.stride < width || !outputs.values.len().is_multiple_of(outputs.stride) {
            return Err(FrameError::Engine);
        }
        kernel.run(HeadWork { head: self, outputs, assignments })
    }

    /// Up to [`LANES`] frames; lanes beyond them repeat the first.
    #[inline(always)]
    fn block(&self, rows: &[f32], outputs: &Outputs<'_>, found: &mut Found) {
        let (k, d) = (self.clusters(), self.latent());
        let column = |at: usize| -> Lanes {
            let mut column = [0.0; LANES];
            let values = rows.chunks_exact(outputs.stride).map(|row| row.get(at).copied().unwrap_or_default());
            column.iter_mut().zip(values).for_each(|(slot, value)| *slot = value);
            column
        };
        let log_q = &mut found.log_q[..k];
        let mut total_variance = [0.0; LANES];
        log_q.fill([0.0; LANES]);
        for at in 0..d {
            let (mu, log_var) = (column(at), column(d + at));
            each(&mut total_variance, &log_var, |sum, v| sum + exp(clamped(v, outputs.log_var_range)));
            for (distance, mean) in log_q.iter_mut().zip(self.mu_c.iter().skip(at).step_by(d)) {
                each(distance, &mu, |sum, m| sum + (m - mean) * (m - mean));
            }
        }
        for (value, [precision, constant]) in log_q.iter_mut().zip(&self.scales) {
            each(value, &total_variance, |distance, total| constant - 0.5 * (distance + total) * precision);
        }
        let log_k = libm::logf(k as f32);
        each(&mut found.novelty, &log_sum_exp(log_q), |_, evidence| log_k - evidence);
        if outputs.learned_head {
            log_q.iter_mut().enumerate().for_each(|(c, value)| *value = column(2 * d + c));
        }
        let max = largest(log_q);
        log_q.iter_mut().for_each(|value| each(value, &max, |v, max| (v - max) * self.sharpness));
        let normalizer = log_sum_exp(log_q);
        found.number.iter_mut().zip(&found.novelty).for_each(|(number, novelty)| *number = novelty.is_finite());
        for value in log_q.iter_mut() {
            each(value, &normalizer, |v, normalizer| v - normalizer);
            found.number.iter_mut().zip(&*value).for_each(|(number, v)| *number &= !v.is_nan());
        }
        found.best_two(k);
    }
}

/// The head of all frames.
struct HeadWork<'a, 'h> {
    head: &'a Head<'h>,
    outputs: Outputs<'a>,
    assignments: &'a mut Vec<Assignment>,
}

impl Work for HeadWork<'_, '_> {
    type Output = Result<(), FrameError>;

    #[inline(always)]
    fn run(self) -> Self::Output {
        let Self { head, outputs, assignments } = self;
        let k = head.clusters();
        let mut found = Found::new();
        for rows in outputs.values.chunks(outputs.stride * LANES) {
            head.block(rows, &outputs, &mut found);
            for lane in 0..(rows.len() / outputs.stride).min(LANES) {
                if !found.number[lane] {
                    return Err(FrameError::Overflow);
                }
                let novelty = found.novelty[lane];
                let mut log_responsibilities = heapless::Vec::new();
                log_responsibilities.extend(found.log_q[..k].iter().map(|value| value[lane]));
                assignments.push(Assignment {
                    cluster: found.cluster[lane] as usize,
                    confidence: found.confidence[lane],
                    runner_up: (k > 1).then_some(found.runner_up[lane] as usize),
                    novelty,
                    is_novel: novelty > head.novelty_threshold,
                    is_outside: false,
                    log_responsibilities,
                });
            }
        }
        Ok(())
    }
}

/// The answers to the frames of a block.
struct Found {
    /// Exponents, then log q(c|x), of every cluster.
    log_q: [Lanes; MAX_CLUSTERS],
    novelty: Lanes,
    confidence: Lanes,
    cluster: [u32; LANES],
    runner_up: [u32; LANES],
    /// Whether everything found for a frame is a number.
    number: [bool; LANES],
}

impl Found {
    fn new() -> Self {
        Self {
            log_q: [[0.0; LANES]; MAX_CLUSTERS],
            novelty: [0.0; LANES],
            confidence: [0.0; LANES],
            cluster: [0; LANES],
            runner_up: [0; LANES],
            number: [false; LANES],
        }
    }

    /// The largest and the second largest of `k` values, of equal ones the first, and the confidence.
    #[inline(always)]
    fn best_two(&mut self, k: usize) {
        let [first, rest @ ..] = &self.log_q;
        let (mut best, mut second) = (*first, [f32::NEG_INFINITY; LANES]);
        (self.cluster, self.runner_up) = ([0; LANES], [0; LANES]);
        for (index, values) in (1u32..).zip(rest.iter().take(k - 1)) {
            for lane in 0..LANES {
                let value = values[lane];
                let (better, next) = (value > best[lane], index == 1 || value > second[lane]);
                let (cluster, runner_up) = (self.cluster[lane], self.runner_up[lane]);
                self.runner_up[lane] = if better {
                    cluster
                } else if next {
                    index
                } else {
                    runner_up
                };
                second[lane] = if better {
                    best[lane]
                } else if next {
                    value
                } else {
                    second[lane]
                };
                self.cluster[lane] = if better { index } else { cluster };
                best[lane] = if better { value } else { best[lane] };
            }
        }
        each(&mut self.confidence, &best, |_, best| exp(best));
    }
}

#[inline(always)]
fn each(values: &mut Lanes, others: &Lanes, f: impl Fn(f32, f32) -> f32) {
    values.iter_mut().zip(others).for_each(|(value, other)| *value = f(*value, *other));
}

#[inline(always)]
fn largest(values: &[Lanes]) -> Lanes {
    let mut max = [f32::NEG_INFINITY; LANES];
    values.iter().for_each(|value| each(&mut max, value, f32::max));
    max
}

#[inline(always)]
fn log_sum_exp(values: &[Lanes]) -> Lanes {
    let max = largest(values);
    let mut result = [0.0; LANES];
    for value in values {
        let mut term = *value;
        each(&mut term, &max, |v, max| exp(v - max));
        each(&mut result, &term, |sum, term| sum + term);
    }
    each(&mut result, &max, |sum, max| max + libm::logf(sum));
    result
}
