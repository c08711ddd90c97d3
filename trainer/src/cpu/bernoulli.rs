//! log Bernoulli(x; sigmoid(l)) of logits l, summed over the values of a frame, and its gradient.
//!
//! log p = x·l - softplus(l), with softplus(l) = log(1 + exp(l)) = max(l, 0) + log(1 + exp(-|l|)).
//! The second form never overflows. Its derivative is d log p / dl = x - sigmoid(l), so the
//! gradient by a logit is that by the row's sum times x - sigmoid(l).
//!
//! Rows are walked in parallel; a row's frame is found from its number, so that R rows of logits
//! share one frame without a copy of it. Each value costs one exponential and one division, without
//! a branch, so that the compiler can take as many values at once as vectors are wide. Nothing is
//! kept for the gradient but the inputs.

use std::f32::consts::LOG2_E;

use rayon::prelude::*;

use super::vectors::vectorised;

/// Rows that one task takes.
const ROWS: usize = 16;

/// The sum of each row, log p of its frame `[R·N]`, nats.
///
/// # Shapes
/// - `logits`: `[R·N,P]`, R = `repeat` rows for each frame in turn; `frames`: `[N,P]`; `p`: P
pub fn forward(frames: &[f32], logits: &[f32], p: usize, repeat: usize) -> Vec<f32> {
    let mut sums = vec![0.0; logits.len() / p];
    sums.par_chunks_mut(ROWS).zip(logits.par_chunks(ROWS * p)).enumerate().for_each(|(part, (sums, logits))| {
        for (row, (sum, logits)) in sums.iter_mut().zip(logits.chunks_exact(p)).enumerate() {
            let frame = &frames[(part * ROWS + row) / repeat * p..][..p];
            *sum = sum_of_row(frame, logits);
        }
    });
    sums
}

/// The gradient by `logits`, given that by the sums in `gradient`, `[R·N]`.
///
/// # Shapes
/// - as for [`forward`]; output: `[R·N,P]`
pub fn backward(frames: &[f32], logits: &[f32], gradient: &[f32], p: usize, repeat: usize) -> Vec<f32> {
    let mut out = vec![0.0; logits.len()];
    out.par_chunks_mut(ROWS * p).zip(logits.par_chunks(ROWS * p)).enumerate().for_each(|(part, (out, logits))| {
        for (row, (out, logits)) in out.chunks_exact_mut(p).zip(logits.chunks_exact(p)).enumerate() {
            let row = part * ROWS + row;
            gradient_of_row(out, &frames[row / repeat * p..][..p], logits, gradient[row]);
        }
    });
    out
}

vectorised! {
/// log p of one row of logits.
///
/// The sum runs in 16 lanes that are added at the end, whatever vectors the machine has, so that
/// vectors of any width give the same bits.
fn sum_of_row<'a>(frame: &'a [f32], logits: &'a [f32]) -> f32 {
    let mut lanes = [0.0f32; 16];
    let (xs, ls) = (frame.chunks_exact(16), logits.chunks_exact(16));
    let rest: f32 = xs.remainder().iter().zip(ls.remainder()).map(|(x, l)| log_density(*x, *l)).sum();
    for (xs, ls) in xs.zip(ls) {
        for ((lane, x), l) in lanes.iter_mut().zip(xs).zip(ls) {
            *lane += log_density(*x, *l);
        }
    }
    lanes.iter().sum::<f32>() + rest
}
}

vectorised! {
/// Writes scale · (x - sigmoid(l)) of a row, `scale` the gradient by its sum.
fn gradient_of_row<'a>(out: &'a mut [f32], frame: &'a [f32], logits: &'a [f32], scale: f32) -> () {
    for ((out, x), l) in out.iter_mut().zip(frame).zip(logits) {
        *out = scale * (x - sigmoid(*l));
    }
}
}

/// log Bernoulli(x; sigmoid(l)) of one value.
///
/// With e = exp(-|l|) in (0, 1] and s = e/(2 + e), log(1 + e) = 2 artanh(s) = 2 (s + s³/3 + s⁵/5 +
/// ..). s is at most 1/3, so the first term left out, 2 s¹⁵/15, is below 1e-8. The error is within
/// 3·10⁻⁷ (1 + |l|).
#[inline(always)]
fn log_density(x: f32, l: f32) -> f32 {
    let e = exp_negative(-l.abs());
    // log(1 + e) = 2 artanh(e / (2 + e)); the series up to the 13th power is exact to f32 for e <=
    // 1.
    let s = e / (2.0 + e);
    let q = s * s;
    let series = 1.0 / 3.0 + q * (1.0 / 5.0 + q * (1.0 / 7.0 + q * (1.0 / 9.0 + q * (1.0 / 11.0 + q * (1.0 / 13.0)))));
    // Written so that a NaN stays.
    let positive = if l < 0.0 { 0.0 } else { l };
    x * l - positive - 2.0 * (s + s * q * series)
}

/// 1/(1 + exp(-l)) of one value, by the exponential of -|l| alone, so that nothing overflows.
#[inline(always)]
fn sigmoid(l: f32) -> f32 {
    let e = exp_negative(-l.abs());
    let low = 1.0 / (1.0 + e);
    if l < 0.0 { e * low } else { low }
}

/// The exponential of x <= 0, within 2·10⁻⁷ relative, without a branch.
///
/// x = k ln 2 + r with k an integer and |r| <= ½ ln 2; exp(r) is a polynomial (Cephes, expf) and
/// 2^k is made of the bits of an exponent. Below -87, beyond which 2^k leaves the normal numbers,
/// the result is that of -87; a NaN stays.
#[inline(always)]
fn exp_negative(x: f32) -> f32 {
    /// Number whose addition and subtraction round to the nearest integer, 1.5·2²³.
    const ROUND: f32 = 12_582_912.0;
    /// Natural logarithm of 2 in two parts; the first has few bits, so that its multiples are
    /// exact.
    const LN2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    let x = if x < -87.0 { -87.0 } else { x };
    let shifted = x * LOG2_E + ROUND;
    let power = shifted - ROUND;
    let r = x - power * LN2[0] - power * LN2[1];
    // Cephes, expf.
    let series =
        ((((1.987_569_1e-4 * r + 1.398_199_9e-3) * r + 8.333_452e-3) * r + 4.166_579_6e-2) * r + 1.666_666_5e-1) * r
            + 0.5;
    // The low bits of `shifted` are those of the integer.
    let scale = f32::from_bits((shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127)) << 23);
    (series * r * r + r + 1.0) * scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_f64() {
        for step in -4000..=4000 {
            let l = step as f32 * 0.02;
            for x in [0.0, 0.3, 1.0] {
                let wide = f64::from(l);
                let softplus = wide.max(0.0) + (-wide.abs()).exp().ln_1p();
                let expected = f64::from(x) * wide - softplus;
                let found = f64::from(log_density(x, l));
                assert!((found - expected).abs() <= 3e-7 * (1.0 + wide.abs()), "{l} {x}: {found} {expected}");
                let expected = 1.0 / (1.0 + (-wide).exp());
                assert!((f64::from(sigmoid(l)) / expected - 1.0).abs() < 5e-7, "{l}");
            }
        }
        assert!(log_density(0.5, f32::NAN).is_nan() && sigmoid(f32::NAN).is_nan());
    }
}
