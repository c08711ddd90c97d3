//! Value of the block: y = max(0, γ (u - mean)/√(variance + ε) + β), u the convolution with bias.
//!
//! Memory is walked twice. First each task of 32 frames goes through its frames a tile at a time,
//! unfolds the tile into patches and multiplies them by the weights, then adds the bias and takes
//! the moments of its own frames. When all parts are joined, mean and variance of the batch are
//! known, and the second walk normalises and clips. Besides the output the maps before
//! normalisation are kept, because the gradient needs them; x̂ and the mask of the ReLU are not,
//! because they follow from those.

use rayon::prelude::*;

use super::{FRAMES, Forward, Parameters, Shape, by_patch, normalisation, unfold};
use crate::cpu::gemm::{Into, Matrix, product};
use crate::cpu::vectors::vectorised;

/// Runs the block on `maps`, `[B, H·W·C]`.
///
/// The cost is B·pixels·k²·C·O multiply-adds, and two walks over `[B, pixels·O]`.
pub fn forward(shape: Shape, maps: &[f32], parameters: Parameters<'_>) -> Forward {
    let weight = by_patch(shape, parameters.weight);
    let (outputs, per_frame) = (shape.outputs, shape.pixels() * shape.outputs);
    let (runs, tile) = (shape.runs(), shape.tile());
    let mut sums = vec![0.0; shape.frames * per_frame];
    let parts: Vec<Moments> = sums
        .par_chunks_mut(FRAMES * per_frame)
        .zip(maps.par_chunks(FRAMES * shape.inputs()))
        .map(|(sums, maps)| {
            let mut patches = vec![0.0; tile * shape.pixels() * shape.patch()];
            for (sums, maps) in sums.chunks_mut(tile * per_frame).zip(maps.chunks(tile * shape.inputs())) {
                let rows = sums.len() / outputs;
                unfold(shape, &runs, maps, &mut patches);
                let patches = Matrix::new(&patches[..rows * shape.patch()], rows, shape.patch());
                product(sums, patches, Matrix::new(&weight, shape.patch(), outputs), Into::Replace);
            }
            moments(sums, parameters.bias)
        })
        .collect();
    let all = Moments::join(parts, outputs);
    let variance: Vec<f32> = all.squares.iter().map(|s| (s / all.count) as f32).collect();
    let mean: Vec<f32> = all.mean.iter().map(|m| *m as f32).collect();
    let [scale, shift] = normalisation(&mean, &variance, parameters);
    let mut output = vec![0.0; sums.len()];
    output.par_chunks_mut(FRAMES * per_frame).zip(sums.par_chunks(FRAMES * per_frame)).for_each(|(out, sums)| {
        normalise(out, sums, &scale, &shift);
    });
    Forward { output, sums, mean, variance }
}

/// Mean and sum of squared deviations of every output over `count` rows, `[O]` each.
struct Moments {
    count: f64,
    mean: Vec<f64>,
    squares: Vec<f64>,
}

impl Moments {
    /// The moments of all rows together, in exact arithmetic those of the rows in one sequence.
    ///
    /// Pairwise update of Chan, Golub and LeVeque (1979): with d the difference of the two means
    /// and n = n₁ + n₂, mean = mean₁ + d·n₂/n and squares = squares₁ + squares₂ + d²·n₁·n₂/n. It is
    /// done in f64 and in the order of the parts.
    fn join(parts: Vec<Self>, outputs: usize) -> Self {
        let empty = Self { count: 0.0, mean: vec![0.0; outputs], squares: vec![0.0; outputs] };
        parts.into_iter().fold(empty, |mut all, part| {
            let count = all.count + part.count;
            for o in 0..outputs {
                let apart = part.mean[o] - all.mean[o];
                all.mean[o] += apart * part.count / count;
                all.squares[o] += part.squares[o] + apart * apart * all.count * part.count / count;
            }
            all.count = count;
            all
        })
    }
}

vectorised! {
/// Adds the bias to the rows `[n,O]` in place, then takes their moments.
///
/// Two walks rather than Σu² - (Σu)²/n, which cancels where the mean is large beside the deviation.
/// The mean m of the first walk is rounded to f32, so the second also sums r = Σ (u - m), which
/// would be 0 without rounding, and corrects both moments by it: mean = m + r/n, and Σ (u -
/// mean)² = Σ (u - m)² - r²/n.
fn moments<'a>(rows: &'a mut [f32], bias: &'a [f32]) -> Moments {
    let outputs = bias.len();
    let count = rows.len() / outputs;
    let mut mean = vec![0.0f32; outputs];
    for row in rows.chunks_exact_mut(outputs) {
        for ((value, bias), sum) in row.iter_mut().zip(bias).zip(&mut mean) {
            *value += bias;
            *sum += *value;
        }
    }
    for sum in &mut mean {
        *sum /= count as f32;
    }
    let mut squares = vec![0.0f32; outputs];
    let mut rest = vec![0.0f32; outputs];
    for row in rows.chunks_exact(outputs) {
        for (((value, mean), squares), rest) in row.iter().zip(&mean).zip(&mut squares).zip(&mut rest) {
            let deviation = value - mean;
            *squares += deviation * deviation;
            *rest += deviation;
        }
    }
    // Take away what the rounding of the mean left of Σ (u - mean), as said above.
    let n = count as f64;
    let exact = mean.iter().zip(&rest).map(|(m, r)| f64::from(*m) + f64::from(*r) / n).collect();
    let squares = squares.iter().zip(&rest).map(|(s, r)| f64::from(*s) - f64::from(*r) * f64::from(*r) / n);
    Moments { count: n, mean: exact, squares: squares.collect() }
}
}

vectorised! {
/// Writes ReLU of scale·u + shift, output by output.
fn normalise<'a>(out: &'a mut [f32], sums: &'a [f32], scale: &'a [f32], shift: &'a [f32]) -> () {
    for (out, sums) in out.chunks_exact_mut(scale.len()).zip(sums.chunks_exact(scale.len())) {
        for (((out, sum), a), b) in out.iter_mut().zip(sums).zip(scale).zip(shift) {
            let value = a * sum + b;
            // Written so that a NaN stays.
            *out = if value < 0.0 { 0.0 } else { value };
        }
    }
}
}
