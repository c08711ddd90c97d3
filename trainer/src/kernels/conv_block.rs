//! Convolution with stride 2, batch normalisation, ReLU; maps are `[B, H, W, C]`, channels last.
//!
//! A tile of frames is unfolded into patches that stay in the cache, multiplied, and its sums over the batch taken while
//! it is there. The patches are made again for the gradient, which costs less than keeping them.

use rayon::prelude::*;

use super::gemm::{Into, Matrix, product};
use super::vectors::vectorised;

/// Frames that one task takes; the order of all sums depends on it.
const FRAMES: usize = 32;
/// Most values of unfolded patches at once, to stay in a core's own cache.
const PATCH_VALUES: usize = 1 << 17;

/// Shape of a block.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// B.
    pub frames: usize,
    /// H.
    pub height: usize,
    /// W.
    pub width: usize,
    /// C.
    pub channels: usize,
    /// O.
    pub outputs: usize,
    /// k, odd.
    pub kernel: usize,
}

impl Shape {
    /// Values of a frame that comes in.
    fn inputs(&self) -> usize {
        self.height * self.width * self.channels
    }

    /// Rows and columns of what goes out.
    pub fn output_size(&self) -> [usize; 2] {
        [self.height.div_ceil(2), self.width.div_ceil(2)]
    }

    /// Pixels of a frame that goes out.
    fn pixels(&self) -> usize {
        self.output_size().iter().product()
    }

    /// Values of a patch, in the order row, column, channel.
    fn patch(&self) -> usize {
        self.kernel * self.kernel * self.channels
    }

    /// Frames whose patches are unfolded at once.
    fn tile(&self) -> usize {
        (PATCH_VALUES / (self.pixels() * self.patch())).clamp(1, FRAMES)
    }

    /// For every output pixel and row of its patch: where its values lie in the patches and in the frame, and how many.
    fn runs(&self) -> Vec<[usize; 3]> {
        let (k, pad, c) = (self.kernel, self.kernel / 2, self.channels);
        let [rows, columns] = self.output_size();
        let mut runs = Vec::with_capacity(rows * columns * k);
        for pixel in 0..rows * columns {
            // The patch in coordinates of the frame, `pad` to the right and down.
            let (top, left) = (2 * (pixel / columns), 2 * (pixel % columns));
            let (from, to) = (left.max(pad), (left + k).min(self.width + pad));
            for line in 0..k {
                let inside = top + line >= pad && top + line < self.height + pad && from < to;
                if inside {
                    let patch = pixel * self.patch() + (line * k + from - left) * c;
                    let frame = ((top + line - pad) * self.width + from - pad) * c;
                    runs.push([patch, frame, (to - from) * c]);
                }
            }
        }
        runs
    }
}

/// What the forward pass gives and the gradient needs.
pub struct Forward {
    /// After ReLU `[B, pixels·O]`.
    pub output: Vec<f32>,
    /// The convolution before normalisation, of the same shape.
    pub sums: Vec<f32>,
    /// Its mean over frames and pixels `[O]`.
    pub mean: Vec<f32>,
    /// Its biased variance `[O]`.
    pub variance: Vec<f32>,
}

/// What the backward pass gives.
pub struct Backward {
    /// By the maps, if it was asked for.
    pub maps: Option<Vec<f32>>,
    /// By the weights `[O,C,k,k]`.
    pub weight: Vec<f32>,
    /// By the biases `[O]`.
    pub bias: Vec<f32>,
    /// By γ `[O]`.
    pub gamma: Vec<f32>,
    /// By β `[O]`.
    pub beta: Vec<f32>,
}

/// Parameters of a block.
#[derive(Clone, Copy)]
pub struct Parameters<'a> {
    /// `[O,C,k,k]`.
    pub weight: &'a [f32],
    /// `[O]`.
    pub bias: &'a [f32],
    /// γ `[O]`.
    pub gamma: &'a [f32],
    /// β `[O]`.
    pub beta: &'a [f32],
    /// Added to the variance.
    pub epsilon: f32,
}

/// Runs the block on `maps` `[B, H·W·C]`.
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

/// The gradients, given that by the output; `by_maps` says whether the maps want theirs.
pub fn backward(
    shape: Shape,
    maps: &[f32],
    parameters: Parameters<'_>,
    Kept { sums, mean, variance }: Kept<'_>,
    gradient: &[f32],
    by_maps: bool,
) -> Backward {
    let weight = by_patch(shape, parameters.weight);
    let (outputs, per_frame) = (shape.outputs, shape.pixels() * shape.outputs);
    let (runs, tile) = (shape.runs(), shape.tile());
    let [scale, shift] = normalisation(mean, variance, parameters);
    let (scale, shift) = (&scale[..], &shift[..]);

    // By β: Σ g; by γ: Σ g (u - mean) / σ, with g the gradient where ReLU let pass.
    let parts: Vec<[Vec<f32>; 2]> = sums
        .par_chunks(FRAMES * per_frame)
        .zip(gradient.par_chunks(FRAMES * per_frame))
        .map(|(sums, gradient)| gradient_sums(sums, gradient, [mean, scale, shift]))
        .collect();
    let mut beta = vec![0.0f64; outputs];
    let mut gamma = vec![0.0f64; outputs];
    for [of_beta, of_gamma] in &parts {
        beta.iter_mut().zip(of_beta).for_each(|(sum, value)| *sum += f64::from(*value));
        gamma.iter_mut().zip(of_gamma).for_each(|(sum, value)| *sum += f64::from(*value));
    }
    let count = (shape.frames * shape.pixels()) as f64;
    let precision = |o: usize| 1.0 / (f64::from(variance[o]) + f64::from(parameters.epsilon));
    // du = a (g - Σg/n - (u - mean)/σ² Σg(u - mean)/n), a = γ/σ.
    let constant: Vec<f32> = (0..outputs).map(|o| (beta[o] / count) as f32).collect();
    let slope: Vec<f32> = (0..outputs).map(|o| (gamma[o] * precision(o) / count) as f32).collect();

    let mut by_maps = if by_maps { vec![0.0; shape.frames * shape.inputs()] } else { Vec::new() };
    let by_frame = if by_maps.is_empty() { 0 } else { shape.inputs() };
    // Chunks of nothing where the maps want no gradient.
    let mut targets: Vec<&mut [f32]> = Vec::new();
    let mut rest = &mut by_maps[..];
    for part in maps.chunks(FRAMES * shape.inputs()) {
        let (head, tail) = rest.split_at_mut(part.len() / shape.inputs() * by_frame);
        targets.push(head);
        rest = tail;
    }
    let parts: Vec<[Vec<f32>; 2]> = targets
        .into_par_iter()
        .zip(maps.par_chunks(FRAMES * shape.inputs()))
        .zip(sums.par_chunks(FRAMES * per_frame))
        .zip(gradient.par_chunks(FRAMES * per_frame))
        .map(|(((target, maps), sums), gradient)| {
            let patch_len = shape.patch();
            let mut patches = vec![0.0; tile * shape.pixels() * patch_len];
            let mut patch_gradients = vec![0.0; if by_frame > 0 { patches.len() } else { 0 }];
            let mut by_sums = vec![0.0; tile * per_frame];
            let mut by_weight = vec![0.0; patch_len * outputs];
            let mut by_bias = vec![0.0; outputs];
            for (at, maps) in maps.chunks(tile * shape.inputs()).enumerate() {
                let frames = maps.len() / shape.inputs();
                let range = at * tile * per_frame..(at * tile + frames) * per_frame;
                let by_sums = &mut by_sums[..frames * per_frame];
                let (sums, gradient) = (&sums[range.clone()], &gradient[range]);
                before_norm(by_sums, &mut by_bias, sums, gradient, [mean, scale, shift, &constant, &slope]);
                let rows = frames * shape.pixels();
                unfold(shape, &runs, maps, &mut patches);
                let by_sums = Matrix::new(by_sums, rows, outputs);
                let patches = Matrix::new(&patches[..rows * patch_len], rows, patch_len);
                product(&mut by_weight, patches.transposed(), by_sums, Into::Add);
                if by_frame > 0 {
                    let patch_gradients = &mut patch_gradients[..rows * patch_len];
                    let weight = Matrix::new(&weight, patch_len, outputs);
                    product(patch_gradients, by_sums, weight.transposed(), Into::Replace);
                    let target = &mut target[at * tile * by_frame..][..frames * by_frame];
                    fold(shape, &runs, patch_gradients, target);
                }
            }
            [by_weight, by_bias]
        })
        .collect();
    let mut by_weight = vec![0.0; shape.patch() * outputs];
    let mut bias = vec![0.0; outputs];
    for [of_weight, of_bias] in &parts {
        by_weight.iter_mut().zip(of_weight).for_each(|(sum, value)| *sum += value);
        bias.iter_mut().zip(of_bias).for_each(|(sum, value)| *sum += value);
    }
    Backward {
        maps: (by_frame > 0).then_some(by_maps),
        weight: by_output(shape, &by_weight),
        bias,
        gamma: gamma.iter().enumerate().map(|(o, sum)| (sum * precision(o).sqrt()) as f32).collect(),
        beta: beta.iter().map(|sum| *sum as f32).collect(),
    }
}

/// What [`backward`] needs of [`Forward`].
#[derive(Clone, Copy)]
pub struct Kept<'a> {
    /// See [`Forward::sums`].
    pub sums: &'a [f32],
    /// See [`Forward::mean`].
    pub mean: &'a [f32],
    /// See [`Forward::variance`].
    pub variance: &'a [f32],
}

/// What the sums are multiplied with, and what is added then, `[O]` each.
fn normalisation(mean: &[f32], variance: &[f32], parameters: Parameters<'_>) -> [Vec<f32>; 2] {
    let scale: Vec<f32> =
        variance.iter().zip(parameters.gamma).map(|(v, gamma)| gamma / (v + parameters.epsilon).sqrt()).collect();
    let shift = mean.iter().zip(&scale).zip(parameters.beta).map(|((m, a), beta)| beta - m * a).collect();
    [scale, shift]
}

/// Weights `[O,C,k,k]` as `[k,k,C,O]`.
fn by_patch(shape: Shape, weight: &[f32]) -> Vec<f32> {
    let (c, taps) = (shape.channels, shape.kernel * shape.kernel);
    let mut out = vec![0.0; weight.len()];
    for (index, value) in weight.iter().enumerate() {
        let (output, channel, tap) = (index / taps / c, index / taps % c, index % taps);
        out[(tap * c + channel) * shape.outputs + output] = *value;
    }
    out
}

/// Weights `[k,k,C,O]` as `[O,C,k,k]`.
fn by_output(shape: Shape, weight: &[f32]) -> Vec<f32> {
    let (c, taps) = (shape.channels, shape.kernel * shape.kernel);
    let mut out = vec![0.0; weight.len()];
    for (index, value) in out.iter_mut().enumerate() {
        let (output, channel, tap) = (index / taps / c, index / taps % c, index % taps);
        *value = weight[(tap * c + channel) * shape.outputs + output];
    }
    out
}

/// Writes the patches of some frames; what lies outside a frame is 0 and stays as it was in `patches`.
fn unfold(shape: Shape, runs: &[[usize; 3]], maps: &[f32], patches: &mut [f32]) {
    let per_frame = shape.pixels() * shape.patch();
    for (frame, patches) in maps.chunks_exact(shape.inputs()).zip(patches.chunks_exact_mut(per_frame)) {
        for &[to, from, count] in runs {
            patches[to..to + count].copy_from_slice(&frame[from..from + count]);
        }
    }
}

vectorised! {
/// Adds every value of the patches to where it came from.
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
/// ReLU of scale · sum + shift, output by output.
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

/// Mean and sum of squared deviations of every output over some rows.
struct Moments {
    count: f64,
    mean: Vec<f64>,
    squares: Vec<f64>,
}

impl Moments {
    /// The moments of all rows together (Chan et al. 1979).
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
/// Adds the bias to the rows `[n,O]`, then takes their moments.
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
    // What the rounding of the mean left of Σ (u - mean).
    let n = count as f64;
    let exact = mean.iter().zip(&rest).map(|(m, r)| f64::from(*m) + f64::from(*r) / n).collect();
    let squares = squares.iter().zip(&rest).map(|(s, r)| f64::from(*s) - f64::from(*r) * f64::from(*r) / n);
    Moments { count: n, mean: exact, squares: squares.collect() }
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
/// The gradient by the convolution's own values, and its sums.
fn before_norm<'a>(
    out: &'a mut [f32],
    by_bias: &'a mut [f32],
    sums: &'a [f32],
    gradient: &'a [f32],
    of_output: [&'a [f32]; 5],
) -> () {
    let outputs = of_output[0].len();
    let [mean, scale, shift, constant, slope] = of_output.map(|values| &values[..outputs]);
    let by_bias = &mut by_bias[..outputs];
    let rows = out.chunks_exact_mut(outputs).zip(sums.chunks_exact(outputs)).zip(gradient.chunks_exact(outputs));
    for ((out, sums), gradient) in rows {
        for o in 0..outputs {
            let passes = f32::from(u8::from(scale[o] * sums[o] + shift[o] > 0.0));
            out[o] = scale[o] * (passes * gradient[o] - constant[o] - (sums[o] - mean[o]) * slope[o]);
            by_bias[o] += out[o];
        }
    }
}
}
