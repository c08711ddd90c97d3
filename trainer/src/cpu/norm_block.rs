//! Batch normalisation with the batch's own statistics, then ReLU, over the columns of `[B,W]`.
//!
//! y = max(0, γ x̂ + β), x̂ = (x - mean) / √(variance + ε). With g the gradient by y where y > 0:
//! dβ = Σ g, dγ = Σ g x̂, dx = γ / √(variance + ε) · (g - dβ/B - x̂ dγ/B) (Ioffe & Szegedy 2015).

use rayon::prelude::*;

use super::vectors::vectorised;

/// Rows that one task takes; sums over rows are added in the order of the tasks.
const ROWS: usize = 32;

/// What the normalisation is made with, a value a column.
#[derive(Clone, Copy)]
pub struct Affine<'a> {
    /// γ.
    pub gamma: &'a [f32],
    /// β.
    pub beta: &'a [f32],
    /// ε.
    pub epsilon: f32,
}

/// The value of the block, and the statistics of the batch that it used.
pub struct Forward {
    /// y `[B,W]`.
    pub output: Vec<f32>,
    /// Mean of each column.
    pub mean: Vec<f32>,
    /// Biased variance of each column.
    pub variance: Vec<f32>,
}

/// The gradients by what the block is a function of.
pub struct Backward {
    /// The gradient by x `[B,W]`.
    pub input: Vec<f32>,
    /// The gradient by γ `[W]`.
    pub gamma: Vec<f32>,
    /// The gradient by β `[W]`.
    pub beta: Vec<f32>,
}

/// Normalises the columns of `input` `[B,W]`, then ReLU.
pub fn forward(input: &[f32], affine: Affine<'_>) -> Forward {
    let width = affine.gamma.len();
    let share = 1.0 / (input.len() / width) as f32;
    let scaled = |mut sums: Vec<f32>| {
        sums.iter_mut().for_each(|sum| *sum *= share);
        sums
    };
    let mean = scaled(over_rows(input, width, |part, sums| part.chunks_exact(width).for_each(|row| add(sums, row))));
    let squares = |part: &[f32], sums: &mut [f32]| {
        part.chunks_exact(width).for_each(|row| add_squares(sums, row, &mean));
    };
    let variance = scaled(over_rows(input, width, squares));
    let scale = scale(affine, &variance);
    let mut output = vec![0.0; input.len()];
    output.par_chunks_mut(ROWS * width).zip(input.par_chunks(ROWS * width)).for_each(|(output, input)| {
        for (output, row) in output.chunks_exact_mut(width).zip(input.chunks_exact(width)) {
            normalise(output, row, Columns { mean: &mean, scale: &scale, beta: affine.beta });
        }
    });
    Forward { output, mean, variance }
}

/// The gradients by x, γ and β, given that by y: `input`, `gradient` `[B,W]`, `mean`, `variance` `[W]` of the batch.
pub fn backward(input: &[f32], affine: Affine<'_>, mean: &[f32], variance: &[f32], gradient: &[f32]) -> Backward {
    let width = affine.gamma.len();
    let scale = scale(affine, variance);
    let columns = Columns { mean, scale: &scale, beta: affine.beta };
    // Σ g, then Σ g (x - mean), side by side.
    let mut parts: Vec<Vec<f32>> = Vec::new();
    gradient
        .par_chunks(ROWS * width)
        .zip(input.par_chunks(ROWS * width))
        .map(|(gradient, input)| {
            let mut sums = vec![0.0; 2 * width];
            let (plain, moments) = sums.split_at_mut(width);
            for (g, row) in gradient.chunks_exact(width).zip(input.chunks_exact(width)) {
                add_gradient(GradientSums { plain: &mut *plain, moments: &mut *moments }, g, row, columns);
            }
            sums
        })
        .collect_into_vec(&mut parts);
    let sums = in_order(parts, 2 * width);
    let (beta, moments) = sums.split_at(width);
    let gamma: Vec<f32> =
        moments.iter().zip(variance).map(|(moment, v)| moment / (v + affine.epsilon).sqrt()).collect();
    let share = 1.0 / (input.len() / width) as f32;
    let plain: Vec<f32> = beta.iter().map(|sum| sum * share).collect();
    let slope: Vec<f32> =
        moments.iter().zip(variance).map(|(moment, v)| moment / (v + affine.epsilon) * share).collect();
    let mut out = vec![0.0; input.len()];
    out.par_chunks_mut(ROWS * width)
        .zip(gradient.par_chunks(ROWS * width).zip(input.par_chunks(ROWS * width)))
        .for_each(|(out, (gradient, input))| {
            let rows = gradient.chunks_exact(width).zip(input.chunks_exact(width));
            for (out, (g, row)) in out.chunks_exact_mut(width).zip(rows) {
                gradient_of_row(out, g, row, columns, Subtracted { plain: &plain, slope: &slope });
            }
        });
    Backward { input: out, gamma, beta: beta.to_vec() }
}

/// What a row is normalised with, a value a column `[W]`.
#[derive(Clone, Copy)]
struct Columns<'a> {
    mean: &'a [f32],
    /// γ / √(variance + ε).
    scale: &'a [f32],
    /// β.
    beta: &'a [f32],
}

/// Sums over rows that the gradients are made of, a value a column `[W]`.
struct GradientSums<'a> {
    /// Σ g.
    plain: &'a mut [f32],
    /// Σ g (x - mean).
    moments: &'a mut [f32],
}

/// What the statistics of the batch take off the gradient of a row, a value a column `[W]`.
#[derive(Clone, Copy)]
struct Subtracted<'a> {
    /// dβ / B.
    plain: &'a [f32],
    /// dγ / (B √(variance + ε)), times x - mean.
    slope: &'a [f32],
}

// The loops below go up to one width, to which every slice is cut first: the compiler then checks no index in them
// and computes as many columns at once as a vector holds.

impl Columns<'_> {
    #[inline(always)]
    fn cut(self, width: usize) -> Self {
        Self { mean: &self.mean[..width], scale: &self.scale[..width], beta: &self.beta[..width] }
    }
}

impl Subtracted<'_> {
    #[inline(always)]
    fn cut(self, width: usize) -> Self {
        Self { plain: &self.plain[..width], slope: &self.slope[..width] }
    }
}

/// γ / √(variance + ε).
fn scale(affine: Affine<'_>, variance: &[f32]) -> Vec<f32> {
    affine.gamma.iter().zip(variance).map(|(gamma, v)| gamma / (v + affine.epsilon).sqrt()).collect()
}

/// Sums a column over all rows, `add` taking one task's.
fn over_rows(input: &[f32], width: usize, add: impl Fn(&[f32], &mut [f32]) + Sync) -> Vec<f32> {
    let mut parts = Vec::new();
    input
        .par_chunks(ROWS * width)
        .map(|part| {
            let mut sums = vec![0.0; width];
            add(part, &mut sums);
            sums
        })
        .collect_into_vec(&mut parts);
    in_order(parts, width)
}

fn in_order(parts: Vec<Vec<f32>>, width: usize) -> Vec<f32> {
    let mut total = vec![0.0; width];
    parts.iter().for_each(|part| add(&mut total, part));
    total
}

vectorised! {
fn add<'a>(sums: &'a mut [f32], row: &'a [f32]) -> () {
    for (sum, x) in sums.iter_mut().zip(row) {
        *sum += x;
    }
}
}

vectorised! {
fn add_squares<'a>(sums: &'a mut [f32], row: &'a [f32], mean: &'a [f32]) -> () {
    for ((sum, x), mean) in sums.iter_mut().zip(row).zip(mean) {
        *sum += (x - mean) * (x - mean);
    }
}
}

vectorised! {
fn normalise<'a>(out: &'a mut [f32], row: &'a [f32], columns: Columns<'a>) -> () {
    let width = out.len();
    let row = &row[..width];
    let Columns { mean, scale, beta } = columns.cut(width);
    for i in 0..width {
        let y = (row[i] - mean[i]) * scale[i] + beta[i];
        // Written so that a NaN stays.
        out[i] = if y < 0.0 { 0.0 } else { y };
    }
}
}

vectorised! {
fn add_gradient<'a>(sums: GradientSums<'a>, gradient: &'a [f32], row: &'a [f32], columns: Columns<'a>) -> () {
    let width = row.len();
    let GradientSums { plain, moments } = sums;
    let (plain, moments, gradient) = (&mut plain[..width], &mut moments[..width], &gradient[..width]);
    let Columns { mean, scale, beta } = columns.cut(width);
    for i in 0..width {
        let centred = row[i] - mean[i];
        let g = if centred * scale[i] + beta[i] > 0.0 { gradient[i] } else { 0.0 };
        plain[i] += g;
        moments[i] += g * centred;
    }
}
}

vectorised! {
fn gradient_of_row<'a>(
    out: &'a mut [f32],
    gradient: &'a [f32],
    row: &'a [f32],
    columns: Columns<'a>,
    subtracted: Subtracted<'a>,
) -> () {
    let width = out.len();
    let (gradient, row) = (&gradient[..width], &row[..width]);
    let Columns { mean, scale, beta } = columns.cut(width);
    let Subtracted { plain, slope } = subtracted.cut(width);
    for i in 0..width {
        let centred = row[i] - mean[i];
        let g = if centred * scale[i] + beta[i] > 0.0 { gradient[i] } else { 0.0 };
        out[i] = scale[i] * (g - plain[i] - centred * slope[i]);
    }
}
}
