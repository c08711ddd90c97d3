//! Convolution with stride 2, batch normalisation, ReLU; maps are `[B, H, W, C]`, channels last.
//!
//! The convolution is a matrix product. For every output pixel the `k·k·C` values under the kernel
//! are copied side by side into a row, its patch; the patches of a frame `[pixels, k·k·C]` times
//! the weights `[k·k·C, O]` are the convolution `[pixels, O]`, so all multiply-adds run in the
//! matrix product. Unfolding makes a frame about k²/4 times larger, so it is done for one tile of
//! frames at a time, as many as keep their patches in a core's own cache. The patches are not kept:
//! the backward pass makes them again, which costs a copy in the cache and saves k²/4 times the
//! memory of all maps.
//!
//! Work is cut into tasks of [`FRAMES`] frames. A task writes its own frames alone and returns its
//! own sums, which are then added in the order of the tasks: results do not depend on the number of
//! threads.

mod backward;
mod forward;

pub use backward::backward;
pub use forward::forward;

/// Frames that one task takes; the order of all sums depends on it.
const FRAMES: usize = 32;
/// Most values of unfolded patches at once, so that they stay in a core's own cache.
const PATCH_VALUES: usize = 1 << 17;

/// Shape of a block.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Frames of the batch, B.
    pub frames: usize,
    /// Rows H of a frame that comes in.
    pub height: usize,
    /// Columns W of a frame that comes in.
    pub width: usize,
    /// Channels C of a frame that comes in.
    pub channels: usize,
    /// Channels O of what goes out.
    pub outputs: usize,
    /// Side k of the square kernel, odd.
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

    /// Copies that unfold one frame, each `[offset in the patches, offset in the frame, values]`.
    ///
    /// There is one for every output pixel and every row of the kernel that meets the frame:
    /// channels lie last, so the part of a kernel row inside the frame is one run of memory, and
    /// the padding at the frame's edge is cut off here once instead of being asked for at every
    /// value.
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

/// Output of the forward pass, and what the gradient needs of it.
pub struct Forward {
    /// Maps after ReLU `[B, pixels·O]`.
    pub output: Vec<f32>,
    /// Maps before normalisation, the convolution with its bias `[B, pixels·O]`.
    pub sums: Vec<f32>,
    /// Mean of the convolution over frames and pixels `[O]`.
    pub mean: Vec<f32>,
    /// Biased variance of the convolution over frames and pixels `[O]`.
    pub variance: Vec<f32>,
}

/// Gradients of the loss by everything that goes into a block, but for the biases.
///
/// Normalisation takes away whatever is added to all values of a channel, so the gradient by the
/// biases is 0.
pub struct Backward {
    /// Gradient by the maps `[B, H·W·C]`, if it was asked for.
    pub maps: Option<Vec<f32>>,
    /// Gradient by the weights `[O,C,k,k]`.
    pub weight: Vec<f32>,
    /// Gradient by the scale γ of the normalisation `[O]`.
    pub gamma: Vec<f32>,
    /// Gradient by the shift β of the normalisation `[O]`.
    pub beta: Vec<f32>,
}

/// Parameters of a block.
#[derive(Clone, Copy)]
pub struct Parameters<'a> {
    /// Weights of the convolution `[O,C,k,k]`.
    pub weight: &'a [f32],
    /// Biases of the convolution `[O]`.
    pub bias: &'a [f32],
    /// Scale γ of the normalisation `[O]`.
    pub gamma: &'a [f32],
    /// Shift β of the normalisation `[O]`.
    pub beta: &'a [f32],
    /// Number ε that is added to the variance under the root.
    pub epsilon: f32,
}

/// Part of a [`Forward`] that [`backward`] needs, borrowed.
#[derive(Clone, Copy)]
pub struct Kept<'a> {
    /// Maps before normalisation `[B, pixels·O]`, see [`Forward::sums`].
    pub sums: &'a [f32],
    /// Mean of the convolution `[O]`, see [`Forward::mean`].
    pub mean: &'a [f32],
    /// Biased variance of the convolution `[O]`, see [`Forward::variance`].
    pub variance: &'a [f32],
}

/// Normalisation as one multiplication and one addition a value: `[scale, shift]`, `[O]` each.
///
/// γ (u - mean) / √(variance + ε) + β = scale·u + shift with scale = γ / √(variance + ε) and
/// shift = β - mean·scale.
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

/// Writes the patches of some frames, `[frames·pixels, k·k·C]`, by the copies in `runs`.
///
/// Values of a patch outside the frame must be 0 on entry and are never written. They lie at the
/// same places for every frame, so a buffer that began as zeros serves tile after tile.
fn unfold(shape: Shape, runs: &[[usize; 3]], maps: &[f32], patches: &mut [f32]) {
    let per_frame = shape.pixels() * shape.patch();
    for (frame, patches) in maps.chunks_exact(shape.inputs()).zip(patches.chunks_exact_mut(per_frame)) {
        for &[to, from, count] in runs {
            patches[to..to + count].copy_from_slice(&frame[from..from + count]);
        }
    }
}
