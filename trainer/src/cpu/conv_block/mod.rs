//! Convolution with stride 2, batch normalisation, ReLU; maps are `[B, H, W, C]`, channels last.
//!
//! A tile of frames is unfolded into patches that stay in the cache, multiplied, and its sums over the batch taken while
//! it is there. The patches are made again for the gradient, which costs less than keeping them.

mod backward;
mod forward;

pub use backward::backward;
pub use forward::forward;

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

/// What the backward pass gives. Normalisation takes every constant away, so the gradient by the biases is 0.
pub struct Backward {
    /// By the maps, if it was asked for.
    pub maps: Option<Vec<f32>>,
    /// By the weights `[O,C,k,k]`.
    pub weight: Vec<f32>,
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
