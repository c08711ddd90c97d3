//! A layer for many frames at once: a product of two matrices, of which the second is in f16.
//!
//! With many frames every weight is used once a frame, so widening it each time would cost more than multiplying. The
//! outputs are cut into columns ([`columns`] wide), a dense layer's inputs into stretches of [`INPUTS`]; the weights of
//! one such block are widened once, into `wide` as f32 `[input][output]`, where they fit the second-level cache. Then
//! all frames pass over the block, [`ROWS`] at a time: a tile of R frames times N vectors of outputs is held in
//! registers, and for each input N vectors of weights are loaded, one value of each frame is spread over a vector, and
//! R · N fused multiply-adds follow ([`add`]). The sums of a tile begin at the biases in the first stretch, and at what
//! `out` holds in those after it; ReLU comes with the last.
//!
//! A convolution is the same product: for an output pixel, the inputs under one row of the kernel lie side by side, and
//! so do their weights, so each row of the kernel is one such run of inputs.
//!
//! Zeros are not skipped here: frames have them in different places.
//!
//! The walks check nothing: [`super::Kernel`] has compared all lengths before.
#![expect(clippy::needless_range_loop, reason = "one index runs over registers and over memory")]

use super::simd::Simd;
use crate::layer::{Conv, Dense, LANES, Layout, PANEL, padded};

/// Inputs of a dense layer whose weights are widened at once.
const INPUTS: usize = 256;
/// Rows (frames) of a tile.
const ROWS: usize = 6;
/// Most outputs of a tile.
const COLUMNS: usize = 64;

/// f32 values that the widened weights of a dense layer take.
pub const DENSE_WIDE: usize = INPUTS * COLUMNS;

/// f32 values that the widened weights of a convolution take.
pub fn conv_wide(layer: &Conv<'_>) -> usize {
    let [_, _, channels] = layer.input_shape();
    let [kernel, _] = layer.kernel();
    kernel * kernel * channels * COLUMNS
}

/// The rows of a matrix in memory, one a frame.
#[derive(Clone, Copy)]
pub struct Rows<P> {
    /// Begins the first row.
    pub at: P,
    /// From one row to the next, in values.
    pub stride: usize,
}

/// What a tile adds up: for every row, inputs that lie side by side, times their widened weights.
#[derive(Clone, Copy)]
struct Run {
    /// The first of the inputs, in every row.
    x: Rows<*const f32>,
    /// Widened weights `[count][width]`.
    weights: *const f32,
    /// Outputs of the tile.
    width: usize,
    /// Inputs in the run.
    count: usize,
}

/// Runs `$run::<S, R, N>` for `$rows` rows and `$vectors` vectors.
macro_rules! for_tile {
    ($rows:expr, $vectors:expr, $run:ident::<$s:ty>$arguments:tt) => {
        match $vectors {
            1 => for_tile!(rows $rows, 1, $run::<$s>$arguments),
            2 => for_tile!(rows $rows, 2, $run::<$s>$arguments),
            3 => for_tile!(rows $rows, 3, $run::<$s>$arguments),
            _ => for_tile!(rows $rows, 4, $run::<$s>$arguments),
        }
    };
    (rows $rows:expr, $n:literal, $run:ident::<$s:ty>$arguments:tt) => {
        match $rows {
            1 => $run::<$s, 1, $n>$arguments,
            2 => $run::<$s, 2, $n>$arguments,
            3 => $run::<$s, 3, $n>$arguments,
            4 => $run::<$s, 4, $n>$arguments,
            5 => $run::<$s, 5, $n>$arguments,
            _ => $run::<$s, 6, $n>$arguments,
        }
    };
}

/// Most outputs of a tile on vectors of `S`.
fn columns<S: Simd>() -> usize {
    (S::TILE * S::LANES).min(COLUMNS)
}

/// A dense layer for `frames` rows of `x`; rows of `out` get the outputs padded to whole vectors.
///
/// # Safety
/// `x` holds `frames` rows of `layer.inputs()` values and `out` room for as many of `padded(layer.outputs())`, each row
/// at most its stride long; `wide` has room for [`DENSE_WIDE`] values; the machine has the instructions of `S`.
/// [`super::Kernel::dense_batch`] checks that.
#[inline(always)]
pub unsafe fn dense<S: Simd>(
    layer: &Dense<'_>,
    x: Rows<*const f32>,
    out: Rows<*mut f32>,
    frames: usize,
    wide: &mut [f32],
) {
    let (inputs, outputs) = (layer.inputs(), padded(layer.outputs()));
    let mut first = 0;
    // SAFETY: tiles lie inside the padded outputs and inside the frames, and a block of widened weights, of at most
    // `INPUTS` by `COLUMNS`, inside `wide`.
    unsafe {
        while first < inputs {
            let count = INPUTS.min(inputs - first);
            let last = first + count == inputs;
            let mut column = 0;
            while column < outputs {
                let width = columns::<S>().min(outputs - column);
                widen_dense::<S>(layer, [first, count], [column, width], wide);
                let mut row = 0;
                while row < frames {
                    let rows = ROWS.min(frames - row);
                    let run = Run {
                        x: Rows { at: x.at.add(row * x.stride + first), stride: x.stride },
                        weights: wide.as_ptr(),
                        width,
                        count,
                    };
                    let to = Rows { at: out.at.add(row * out.stride + column), stride: out.stride };
                    let bias = (first == 0).then(|| layer.bias().as_ptr().add(column));
                    for_tile!(rows, width / S::LANES, dense_tile::<S>(run, bias, to, layer.relu() && last));
                    row += rows;
                }
                column += width;
            }
            first += count;
        }
    }
}

/// The weights of `count` inputs and `width` outputs as f32 `[count][width]`.
///
/// # Safety
/// Inputs from `first` on and outputs from `column` on lie inside the layer, the latter padded; `width` is a multiple of
/// a vector and divides what is left of the panel; `wide` has room for the weights; the machine has the instructions of
/// `S`.
#[inline(always)]
unsafe fn widen_dense<S: Simd>(
    layer: &Dense<'_>,
    [first, count]: [usize; 2],
    [column, width]: [usize; 2],
    wide: &mut [f32],
) {
    let (inputs, outputs, weights) = (layer.inputs(), layer.outputs(), layer.weights().as_ptr());
    // SAFETY: the columns lie in one panel, and the layer's weights are where `Dense::place` says; the rows of a layer
    // that lies by output are padded to whole vectors; `at + offset` is below `count`.
    unsafe {
        match layer.layout() {
            Layout::Panels => {
                let panel = column / PANEL;
                let stride = PANEL.min(padded(outputs) - panel * PANEL);
                let from = weights.add(panel * PANEL * inputs + first * stride + column % PANEL);
                for input in 0..count {
                    let mut at = 0;
                    while at < width {
                        let value = S::widen(from.add(input * stride + at));
                        S::store(wide.as_mut_ptr().add(input * width + at), value);
                        at += S::LANES;
                    }
                }
            }
            Layout::Rows => {
                let stride = padded(inputs);
                for output in 0..width {
                    // Padded outputs have no row.
                    let row = (column + output < outputs).then(|| weights.add((column + output) * stride + first));
                    let mut at = 0;
                    while at < count {
                        let mut part = [0.0; LANES];
                        if let Some(row) = row {
                            // A row is padded, so a whole vector of it is there.
                            S::store(part.as_mut_ptr(), S::widen(row.add(at)));
                        }
                        for (offset, value) in part.iter().take(S::LANES.min(count - at)).enumerate() {
                            *wide.get_unchecked_mut((at + offset) * width + output) = *value;
                        }
                        at += S::LANES;
                    }
                }
            }
        }
    }
}

/// R rows and N vectors of a dense layer; without a bias it goes on from what `out` holds.
///
/// # Safety
/// As [`add`]; N vectors can be read at `bias`, and read and written in each of R rows of `out`.
#[inline(always)]
unsafe fn dense_tile<S: Simd, const R: usize, const N: usize>(
    run: Run,
    bias: Option<*const f32>,
    out: Rows<*mut f32>,
    relu: bool,
) {
    // SAFETY: asked for above.
    unsafe {
        let mut sums = [[S::splat(0.0); N]; R];
        for r in 0..R {
            for n in 0..N {
                let before = bias.unwrap_or(out.at.add(r * out.stride).cast_const());
                sums[r][n] = S::load(before.add(n * S::LANES));
            }
        }
        add::<S, R, N>(&mut sums, run);
        for r in 0..R {
            for n in 0..N {
                let sum = if relu { S::relu(sums[r][n]) } else { sums[r][n] };
                S::store(out.at.add(r * out.stride + n * S::LANES), sum);
            }
        }
    }
}

/// Adds a run to the sums of R rows and N vectors.
///
/// # Safety
/// Each of R rows of `run.x` holds `run.count` values, `run.weights` as many rows of `run.width`, which is at least N
/// vectors; the machine has the instructions of `S`.
#[inline(always)]
unsafe fn add<S: Simd, const R: usize, const N: usize>(sums: &mut [[S::V; N]; R], run: Run) {
    // SAFETY: asked for above.
    unsafe {
        for k in 0..run.count {
            let mut weights = [S::splat(0.0); N];
            for n in 0..N {
                weights[n] = S::load(run.weights.add(k * run.width + n * S::LANES));
            }
            for r in 0..R {
                let value = S::splat(*run.x.at.add(r * run.x.stride + k));
                for n in 0..N {
                    sums[r][n] = S::mul_add(weights[n], value, sums[r][n]);
                }
            }
        }
    }
}

/// A convolution for `frames` rows of `x`, channels last.
///
/// # Safety
/// `x` holds `frames` rows of the layer's inputs and `out` room for as many of its outputs, each row at most its stride
/// long; `wide` has room for [`conv_wide`] values; the machine has the instructions of `S`.
/// [`super::Kernel::conv_batch`] checks that.
#[inline(always)]
pub unsafe fn conv<S: Simd>(
    layer: &Conv<'_>,
    x: Rows<*const f32>,
    out: Rows<*mut f32>,
    frames: usize,
    wide: &mut [f32],
) {
    let [_, _, channels] = layer.input_shape();
    let [kernel, _] = layer.kernel();
    let (outputs, stride) = (layer.output_shape()[2], layer.bias().len());
    let mut column = 0;
    // SAFETY: tiles lie inside the padded outputs, whose weights are there; what is written is cut to the outputs.
    unsafe {
        while column < outputs {
            let width = columns::<S>().min(stride - column);
            for input in 0..kernel * kernel * channels {
                let mut at = 0;
                while at < width {
                    let value = S::widen(layer.weights().as_ptr().add(input * stride + column + at));
                    S::store(wide.as_mut_ptr().add(input * width + at), value);
                    at += S::LANES;
                }
            }
            let mut row = 0;
            while row < frames {
                let rows = ROWS.min(frames - row);
                let from = Rows { at: x.at.add(row * x.stride), stride: x.stride };
                let to = Rows { at: out.at.add(row * out.stride + column), stride: out.stride };
                for_tile!(rows, width / S::LANES, conv_tile::<S>(layer, column, from, to, wide.as_ptr()));
                row += rows;
            }
            column += width;
        }
    }
}

/// R frames and N vectors of outputs, from `column` on, of every pixel.
///
/// # Safety
/// R rows of `x` hold the layer's inputs, R rows of `out`, which begins at `column`, room for its outputs; `weights` are
/// the widened ones of all inputs and these N vectors; the machine has the instructions of `S`.
#[inline(always)]
unsafe fn conv_tile<S: Simd, const R: usize, const N: usize>(
    layer: &Conv<'_>,
    column: usize,
    x: Rows<*const f32>,
    out: Rows<*mut f32>,
    weights: *const f32,
) {
    let [height, width, channels] = layer.input_shape();
    let [rows, columns, outputs] = layer.output_shape();
    let [kernel, step] = layer.kernel();
    let pad = kernel / 2;
    let whole = column + N * S::LANES <= outputs;
    // SAFETY: rows and columns of the kernel are cut to those inside the input, so a run lies inside a frame; what is
    // written is cut to the outputs of the pixel.
    unsafe {
        for row in 0..rows {
            let (top, bottom) = ((row * step).saturating_sub(pad), (row * step + pad + 1).min(height));
            for pixel in 0..columns {
                let (left, right) = ((pixel * step).saturating_sub(pad), (pixel * step + pad + 1).min(width));
                let mut sums = [[S::splat(0.0); N]; R];
                for n in 0..N {
                    let bias = S::load(layer.bias().as_ptr().add(column + n * S::LANES));
                    for r in 0..R {
                        sums[r][n] = bias;
                    }
                }
                for y in top..bottom {
                    let tap = (y + pad - row * step) * kernel + left + pad - pixel * step;
                    let run = Run {
                        x: Rows { at: x.at.add((y * width + left) * channels), stride: x.stride },
                        weights: weights.add(tap * channels * N * S::LANES),
                        width: N * S::LANES,
                        count: (right - left) * channels,
                    };
                    add::<S, R, N>(&mut sums, run);
                }
                for r in 0..R {
                    let to = out.at.add(r * out.stride + (row * columns + pixel) * outputs);
                    let mut cut = [0.0; COLUMNS];
                    for n in 0..N {
                        let sum = if layer.relu() { S::relu(sums[r][n]) } else { sums[r][n] };
                        let place = if whole { to } else { cut.as_mut_ptr() };
                        S::store(place.add(n * S::LANES), sum);
                    }
                    if !whole {
                        core::ptr::copy_nonoverlapping(cut.as_ptr(), to, outputs - column);
                    }
                }
            }
        }
    }
}
