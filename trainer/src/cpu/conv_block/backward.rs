//! Gradients of the block, by the adjoint of each step of the forward pass in reverse.
//!
//! Forward, for output o, with n = B·pixels rows: u = patches·W + bias, x̂ = (u - mean)/σ with σ² =
//! variance + ε, y = max(0, γ x̂ + β). Let L be the loss, `gradient` the given dL/dy, and g = dL/dy
//! where γ x̂ + β > 0, else 0.
//!
//! 1. Scale and shift: dL/dβ = Σ g, dL/dγ = Σ g x̂ = Σ g (u - mean) / σ.
//! 2. Normalisation: dL/dx̂ = γ g. A value u_i moves its own x̂ directly, and all x̂_j of its
//!    output through the mean and through σ:
//!    dx̂_j/du_i = (δ_ij - 1/n - x̂_i x̂_j/n)/σ, and summed over j
//!    dL/du = γ/σ · (g - Σg/n - x̂ Σ(g x̂)/n) = γ/σ · (g - Σg/n - (u - mean)/σ² · Σ g(u - mean)/n).
//! 3. Bias: dL/dbias = Σ dL/du = 0, since Σ (u - mean) = 0.
//! 4. Matrix product: dL/dW = patchesᵀ · dL/du and dL/dpatches = dL/du · Wᵀ.
//! 5. Unfolding copies a value of a frame into several patches, so its gradient is the sum of
//!    theirs: [`fold`] adds them by the same runs that [`unfold`] copied by.
//!
//! Two walks over u and dL/dy: the sums of step 1 over the whole batch come first, since step 2
//! needs them; then every tile goes through steps 2 to 5 while it is in the cache. Whether the ReLU
//! let pass is found anew from scale·u + shift, the expression of the forward pass. Costs are those
//! of the forward pass for dL/dW, and as much again for the maps, if they want theirs.

use rayon::prelude::*;

use super::{Backward, FRAMES, Kept, Parameters, Shape, by_output, by_patch, normalisation, unfold};
use crate::cpu::gemm::{Into, Matrix, product};
use crate::cpu::vectors::vectorised;

/// Gradients of the loss, given that by the output; `by_maps` says whether the maps want theirs.
pub fn backward(
    shape: Shape,
    maps: &[f32],
    parameters: Parameters<'_>,
    kept: Kept<'_>,
    gradient: &[f32],
    by_maps: bool,
) -> Backward {
    let per_frame = shape.pixels() * shape.outputs;
    let pass = Pass::new(shape, parameters, kept, gradient);
    let mut of_maps = vec![0.0; if by_maps { shape.frames * shape.inputs() } else { 0 }];
    let parts: Vec<Vec<f32>> = targets(&mut of_maps, shape)
        .into_par_iter()
        .zip(maps.par_chunks(FRAMES * shape.inputs()))
        .zip(kept.sums.par_chunks(FRAMES * per_frame))
        .zip(gradient.par_chunks(FRAMES * per_frame))
        .map(|(((target, maps), sums), gradient)| pass.part(maps, sums, gradient, target))
        .collect();
    let mut weight = vec![0.0; shape.patch() * shape.outputs];
    for part in &parts {
        weight.iter_mut().zip(part).for_each(|(sum, value)| *sum += value);
    }
    let Pass { gamma, beta, .. } = pass;
    Backward { maps: by_maps.then_some(of_maps), weight: by_output(shape, &weight), gamma, beta }
}

/// Slices of the maps' gradient, one a task; empty ones where it is not wanted.
fn targets(of_maps: &mut [f32], shape: Shape) -> Vec<&mut [f32]> {
    if of_maps.is_empty() {
        return (0..shape.frames.div_ceil(FRAMES)).map(|_| Default::default()).collect();
    }
    of_maps.chunks_mut(FRAMES * shape.inputs()).collect()
}

/// State of a backward pass that every task reads: weights, and five numbers an output.
struct Pass<'a> {
    shape: Shape,
    runs: Vec<[usize; 3]>,
    /// Weights in the order of the patches, `[k,k,C,O]`.
    weight: Vec<f32>,
    mean: &'a [f32],
    scale: Vec<f32>,
    shift: Vec<f32>,
    /// Mean Σ g / n of g, the gradient by the output where ReLU let pass `[O]`.
    constant: Vec<f32>,
    /// Slope Σ g (u - mean) / (n σ²) of the part of g that runs along u `[O]`.
    slope: Vec<f32>,
    /// Gradient by γ, Σ g (u - mean) / σ `[O]`.
    gamma: Vec<f32>,
    /// Gradient by β, Σ g `[O]`.
    beta: Vec<f32>,
}

impl<'a> Pass<'a> {
    /// Takes the sums over the whole batch: f32 within a task, f64 over the tasks in their order.
    fn new(shape: Shape, parameters: Parameters<'_>, kept: Kept<'a>, gradient: &[f32]) -> Self {
        let Kept { sums, mean, variance } = kept;
        let (outputs, per_frame) = (shape.outputs, shape.pixels() * shape.outputs);
        let [scale, shift] = normalisation(mean, variance, parameters);
        let parts: Vec<[Vec<f32>; 2]> = sums
            .par_chunks(FRAMES * per_frame)
            .zip(gradient.par_chunks(FRAMES * per_frame))
            .map(|(sums, gradient)| gradient_sums(sums, gradient, [mean, &scale, &shift]))
            .collect();
        let mut totals = [vec![0.0f64; outputs], vec![0.0f64; outputs]];
        for part in &parts {
            for (totals, values) in totals.iter_mut().zip(part) {
                totals.iter_mut().zip(values).for_each(|(sum, value)| *sum += f64::from(*value));
            }
        }
        let [beta, gamma] = totals;
        let count = (shape.frames * shape.pixels()) as f64;
        let precision = |o: usize| 1.0 / (f64::from(variance[o]) + f64::from(parameters.epsilon));
        Self {
            shape,
            runs: shape.runs(),
            weight: by_patch(shape, parameters.weight),
            mean,
            scale,
            shift,
            constant: beta.iter().map(|sum| (sum / count) as f32).collect(),
            slope: gamma.iter().enumerate().map(|(o, sum)| (sum * precision(o) / count) as f32).collect(),
            gamma: gamma.iter().enumerate().map(|(o, sum)| (sum * precision(o).sqrt()) as f32).collect(),
            beta: beta.iter().map(|sum| *sum as f32).collect(),
        }
    }

    /// Returns the gradient by the weights `[k,k,C,O]` of some frames, and adds the gradient by
    /// their maps to `target`, unless it is empty.
    ///
    /// For each tile: gradient by u, patches anew, patchesᵀ times the gradient added to that by the
    /// weights, gradient times Wᵀ folded back into the maps.
    fn part(&self, maps: &[f32], sums: &[f32], gradient: &[f32], target: &mut [f32]) -> Vec<f32> {
        let (shape, outputs, patch) = (self.shape, self.shape.outputs, self.shape.patch());
        let (tile, per_frame) = (shape.tile(), shape.pixels() * outputs);
        let of_output = [self.mean, &self.scale, &self.shift, &self.constant, &self.slope];
        let mut patches = vec![0.0; tile * shape.pixels() * patch];
        let mut patch_gradients = vec![0.0; if target.is_empty() { 0 } else { patches.len() }];
        let mut by_sums = vec![0.0; tile * per_frame];
        let mut by_weight = vec![0.0; patch * outputs];
        for (at, maps) in maps.chunks(tile * shape.inputs()).enumerate() {
            let (first, frames) = (at * tile, maps.len() / shape.inputs());
            let range = first * per_frame..(first + frames) * per_frame;
            let by_sums = &mut by_sums[..frames * per_frame];
            before_norm(by_sums, &sums[range.clone()], &gradient[range], of_output);
            let rows = frames * shape.pixels();
            unfold(shape, &self.runs, maps, &mut patches);
            let by_sums = Matrix::new(by_sums, rows, outputs);
            product(
                &mut by_weight,
                Matrix::new(&patches[..rows * patch], rows, patch).transposed(),
                by_sums,
                Into::Add,
            );
            if !target.is_empty() {
                let patch_gradients = &mut patch_gradients[..rows * patch];
                let weight = Matrix::new(&self.weight, patch, outputs).transposed();
                product(patch_gradients, by_sums, weight, Into::Replace);
                fold(shape, &self.runs, patch_gradients, &mut target[first * shape.inputs()..][..maps.len()]);
            }
        }
        by_weight
    }
}

vectorised! {
/// Adds every value of the patches to the value of the frame that it was copied from.
///
/// It is the transpose of [`unfold`]: the same runs, read the other way.
fn fold<'a>(shape: Shape, runs: &'a [[usize; 3]], patches: &'a [f32], maps: &'a mut [f32]) -> () {
    let per_frame = shape.pixels() * shape.patch();
    for (frame, patches) in maps.chunks_exact_mut(shape.inputs()).zip(patches.chunks_exact(per_frame)) {
        for &[from, to, count] in runs {
            for (sum, value) in frame[to..to + count].iter_mut().zip(&patches[from..from + count]) {
                *sum += value;
            }
        }
    }
}
}

vectorised! {
/// Σ g and Σ g (u - mean) of every output over some rows, g the gradient where ReLU let pass.
fn gradient_sums<'a>(sums: &'a [f32], gradient: &'a [f32], of_output: [&'a [f32]; 3]) -> [Vec<f32>; 2] {
    let outputs = of_output[0].len();
    // Slices of one length spare the checks of the inner loop.
    let [mean, scale, shift] = of_output.map(|values| &values[..outputs]);
    let (mut beta, mut gamma) = (vec![0.0f32; outputs], vec![0.0f32; outputs]);
    let (by_beta, by_gamma) = (&mut beta[..outputs], &mut gamma[..outputs]);
    for (sums, gradient) in sums.chunks_exact(outputs).zip(gradient.chunks_exact(outputs)) {
        for o in 0..outputs {
            let passes = f32::from(u8::from(scale[o] * sums[o] + shift[o] > 0.0));
            by_beta[o] += passes * gradient[o];
            by_gamma[o] += passes * gradient[o] * (sums[o] - mean[o]);
        }
    }
    [beta, gamma]
}
}

vectorised! {
/// Writes the gradient by the convolution's own values u, given that by the output.
///
/// dL/du = scale · (g - constant - (u - mean)·slope), scale = γ/σ; `of_output` holds mean, scale,
/// shift, constant and slope, `[O]` each.
fn before_norm<'a>(
    out: &'a mut [f32],
    sums: &'a [f32],
    gradient: &'a [f32],
    of_output: [&'a [f32]; 5],
) -> () {
    let outputs = of_output[0].len();
    let [mean, scale, shift, constant, slope] = of_output.map(|values| &values[..outputs]);
    let rows = out.chunks_exact_mut(outputs).zip(sums.chunks_exact(outputs)).zip(gradient.chunks_exact(outputs));
    for ((out, sums), gradient) in rows {
        for o in 0..outputs {
            let passes = f32::from(u8::from(scale[o] * sums[o] + shift[o] > 0.0));
            out[o] = scale[o] * (passes * gradient[o] - constant[o] - (sums[o] - mean[o]) * slope[o]);
        }
    }
}
}
