//! Batch normalisation with the batch's own statistics, then ReLU, over the columns of `[B,W]`.
//!
//! Forward, for each column: x̂ = (x - mean)/σ with σ² = variance + ε, y = max(0, γ x̂ + β); mean
//! and biased variance are those of the column. Three walks over the rows: the mean, then the
//! squared deviations from it (the sum of squares less the squared sum would cancel), then y.
//!
//! Backward, with g the gradient by y where y > 0, else 0: dβ = Σ g and dγ = Σ g x̂. The gradient
//! by x̂ is γ g. A value x_i moves x̂_j of its column directly if it is its own, and all of them
//! through the mean and through σ:
//!
//! dx̂_j/dx_i = (δ_ij - 1/B - x̂_i x̂_j/B)/σ, and summed over j
//! dx = γ/σ · (g - dβ/B - x̂ dγ/B) (Ioffe and Szegedy 2015).
//!
//! Two walks: Σ g and Σ g (x - mean), then dx. Neither x̂ nor the mask of the ReLU is kept; both
//! follow from x.
//!
//! Walks are over rows of memory, never down a column, in tasks of [`ROWS`] rows whose sums are
//! added in order: the result does not depend on the number of threads.

use rayon::prelude::*;

use super::vectors::vectorised;

/// Rows that one task takes; sums over rows are added in the order of the tasks.
const ROWS: usize = 32;

/// Parameters of the normalisation, a value a column.
#[derive(Clone, Copy)]
pub struct Affine<'a> {
    /// Scale γ of each column `[W]`.
    pub gamma: &'a [f32],
    /// Shift β of each column `[W]`.
    pub beta: &'a [f32],
    /// Number ε that is added to the variance under the root.
    pub epsilon: f32,
}

/// Output of the forward pass, and the statistics that the gradient needs.
pub struct Forward {
    /// Normalised and clipped values y `[B,W]`.
    pub output: Vec<f32>,
    /// Mean of each column `[W]`.
    pub mean: Vec<f32>,
    /// Biased variance of each column `[W]`.
    pub variance: Vec<f32>,
}

/// Gradients of the loss by everything that goes in.
pub struct Backward {
    /// Gradient by x `[B,W]`.
    pub input: Vec<f32>,
    /// Gradient by γ `[W]`.
    pub gamma: Vec<f32>,
    /// Gradient by β `[W]`.
    pub beta: Vec<f32>,
}

/// Normalises `input`, `[B,W]`, and clips it at 0.
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

/// Gradients of the loss, given that by y in `gradient`, `[B,W]`.
///
/// `input` is what [`forward`] was given; `mean` and `variance` are what it returned.
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

/// Factor γ / √(variance + ε) of each column.
fn scale(affine: Affine<'_>, variance: &[f32]) -> Vec<f32> {
    affine.gamma.iter().zip(variance).map(|(gamma, v)| gamma / (v + affine.epsilon).sqrt()).collect()
}

/// Sums a value a column over all rows; `add` adds the rows of one task to sums that begin at 0.
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

/// Adds up the sums of the tasks in the order of the tasks.
fn in_order(parts: Vec<Vec<f32>>, width: usize) -> Vec<f32> {
    let mut total = vec![0.0; width];
    parts.iter().for_each(|part| add(&mut total, part));
    total
}

vectorised! {
/// Adds a row to the sums of its columns.
fn add<'a>(sums: &'a mut [f32], row: &'a [f32]) -> () {
    for (sum, x) in sums.iter_mut().zip(row) {
        *sum += x;
    }
}
}

vectorised! {
/// Adds the squared deviations of a row from the means of its columns.
fn add_squares<'a>(sums: &'a mut [f32], row: &'a [f32], mean: &'a [f32]) -> () {
    for ((sum, x), mean) in sums.iter_mut().zip(row).zip(mean) {
        *sum += (x - mean) * (x - mean);
    }
}
}

vectorised! {
/// Writes max(0, (x - mean)·scale + β) of a row.
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
/// Adds g and g (x - mean) of one row to the sums, g the gradient where ReLU let pass.
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
/// Writes dx = scale · (g - plain - (x - mean)·slope) of a row.
///
/// `columns` holds mean, scale = γ/σ, β, plain = Σ g / B and slope = Σ g (x - mean) / (B σ²).
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
