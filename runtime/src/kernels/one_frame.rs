//! A layer for one frame, for vectors of any instruction set.
//!
//! With one frame every weight is used once, so what counts is how few weights are read, and how soon. A dense layer
//! with many outputs, and every convolution, has its weights by input: the weights of one input to all outputs lie side
//! by side. One pass over the inputs ([`Simd::nonzero`]) writes down the indexes of those that are not 0. Then N vectors
//! of outputs ([`Simd::SUMS`] at most) are taken at a time: their sums stay in registers, begin at the biases, and the
//! list is walked once for them. For each index one value is spread over a vector, N vectors of f16 are widened and
//! multiplied into the sums ([`accumulate`]). A zero costs nothing, and its weights are never read.
//!
//! Where N is small a fused multiply-add would wait for the one before it, so the sums are held U times, each copy takes
//! every U-th index, and [`finish`] adds the copies up. Where rows are wide, those of the indexes to come are asked for
//! ahead of time ([`AHEAD`]), since with gaps the machine does not guess them.
//!
//! A dense layer with few outputs has its weights by output instead ([`rows`]): one dot product an output, [`ROWS`] at a
//! time so that each vector of inputs is loaded once for all of them. Zeros are not skipped there.
//!
//! The walks check nothing: [`super::Kernel`] has compared all lengths before.
#![expect(clippy::needless_range_loop, reason = "one index runs over registers and over memory")]

use super::arch::scalar::Scalar;
use super::simd::Simd;
use crate::layer::{Conv, Dense, LANES, Layout, PANEL, padded};

/// Weights that lie by input: one row of f16 for every input, `stride` f16 from the next.
#[derive(Clone, Copy)]
struct ByInput {
    /// Begins the row of the input `first`.
    row: *const u16,
    /// The input whose row `row` is.
    first: usize,
    /// From one row to the next, in f16.
    stride: usize,
}

/// How many rows ahead of the one in use weights are asked for.
const AHEAD: usize = 8;

/// Runs `$run::<S, N, U>` for `$count` vectors: N sums side by side, U copies of them so that one addition need not
/// wait for the last.
macro_rules! for_width {
    ($count:expr, $run:ident::<$s:ty>($($argument:expr),*)) => {
        match $count {
            1 => $run::<$s, 1, 8>($($argument),*),
            2 => $run::<$s, 2, 4>($($argument),*),
            3 => $run::<$s, 3, 2>($($argument),*),
            4 => $run::<$s, 4, 2>($($argument),*),
            5 => $run::<$s, 5, 1>($($argument),*),
            6 => $run::<$s, 6, 1>($($argument),*),
            7 => $run::<$s, 7, 1>($($argument),*),
            _ => $run::<$s, 8, 1>($($argument),*),
        }
    };
}

/// A dense layer for one frame; `out` gets the outputs padded to whole vectors.
///
/// # Safety
/// `x` holds `layer.inputs()` values, `out` has room for `padded(layer.outputs())`, `list` for an index of every input
/// if weights lie by input; the machine has the instructions of `S`. [`super::Kernel::dense`] checks that.
#[inline(always)]
pub unsafe fn dense<S: Simd>(layer: &Dense<'_>, x: &[f32], out: &mut [f32], list: &mut [u32]) {
    // SAFETY: x, out and list are as long as asked for above; `Dense` holds as many weights and biases as its shape needs,
    // and a panel's are where `Dense::place` says. Indexes in the list are those of inputs.
    unsafe {
        match layer.layout() {
            Layout::Rows => rows::<S>(layer, x, out.as_mut_ptr()),
            Layout::Panels => {
                let count = S::nonzero(x, list.as_mut_ptr());
                let list = &list[..count];
                let outputs = padded(layer.outputs());
                let mut panel = 0;
                while panel < outputs {
                    let width = PANEL.min(outputs - panel);
                    let row = layer.weights().as_ptr().add(panel * layer.inputs());
                    let mut column = 0;
                    while column < width {
                        let vectors = ((width - column) / S::LANES).min(S::SUMS);
                        let weights = ByInput { row: row.add(column), first: 0, stride: width };
                        let bias = layer.bias().as_ptr().add(panel + column);
                        let to = out.as_mut_ptr().add(panel + column);
                        for_width!(vectors, columns::<S>(weights, list, x, bias, to, layer.relu()));
                        column += vectors * S::LANES;
                    }
                    panel += PANEL;
                }
            }
        }
    }
}

/// N vectors of outputs of a layer that lies by input.
///
/// # Safety
/// As [`accumulate`]; at `bias` N vectors can be read, at `out` written.
#[inline(always)]
unsafe fn columns<S: Simd, const N: usize, const U: usize>(
    weights: ByInput,
    list: &[u32],
    x: &[f32],
    bias: *const f32,
    out: *mut f32,
    relu: bool,
) {
    // SAFETY: asked for above.
    unsafe {
        let mut sums = start::<S, N, U>(bias);
        accumulate::<S, N, U>(&mut sums, weights, list, x);
        finish::<S, N, U>(sums, out, relu);
    }
}

/// The biases in the first copy of the sums, 0 in the others.
///
/// # Safety
/// N vectors can be read at `bias`; the machine has the instructions of `S`.
#[inline(always)]
unsafe fn start<S: Simd, const N: usize, const U: usize>(bias: *const f32) -> [[S::V; N]; U] {
    // SAFETY: N vectors lie at `bias`.
    unsafe {
        let mut sums = [[S::splat(0.0); N]; U];
        for n in 0..N {
            sums[0][n] = S::load(bias.add(n * S::LANES));
        }
        sums
    }
}

/// Adds the rows of the inputs in `list`, times their values.
///
/// # Safety
/// Every index in `list` is below `x.len()` and not below `weights.first`, and N vectors of weights lie in its row; the
/// machine has the instructions of `S`.
#[inline(always)]
unsafe fn accumulate<S: Simd, const N: usize, const U: usize>(
    sums: &mut [[S::V; N]; U],
    weights: ByInput,
    list: &[u32],
    x: &[f32],
) {
    // SAFETY: as asked for above; `at` stays below the list's length. What is only asked for ahead is never read.
    unsafe {
        let row = |index: u32| weights.row.add((index as usize - weights.first) * weights.stride);
        let mut at = 0;
        while at + U <= list.len() {
            for u in 0..U {
                let index = *list.get_unchecked(at + u);
                // Narrow rows lie close together, where the machine finds them by itself.
                if N * S::LANES > 32 && at + u + AHEAD < list.len() {
                    let ahead = row(*list.get_unchecked(at + u + AHEAD));
                    // A line holds 32 weights.
                    for line in 0..(N * S::LANES).div_ceil(32) {
                        S::prefetch(ahead.wrapping_add(line * 32));
                    }
                }
                let (value, row) = (S::splat(*x.get_unchecked(index as usize)), row(index));
                for n in 0..N {
                    sums[u][n] = S::mul_add(S::widen(row.add(n * S::LANES)), value, sums[u][n]);
                }
            }
            at += U;
        }
        while at < list.len() {
            let index = *list.get_unchecked(at);
            let (value, row) = (S::splat(*x.get_unchecked(index as usize)), row(index));
            for n in 0..N {
                sums[0][n] = S::mul_add(S::widen(row.add(n * S::LANES)), value, sums[0][n]);
            }
            at += 1;
        }
    }
}

/// Adds the copies of the sums up and writes the result.
///
/// # Safety
/// N vectors can be written at `out`; the machine has the instructions of `S`.
#[inline(always)]
unsafe fn finish<S: Simd, const N: usize, const U: usize>(sums: [[S::V; N]; U], out: *mut f32, relu: bool) {
    // SAFETY: N vectors have room at `out`.
    unsafe {
        for n in 0..N {
            let mut sum = sums[0][n];
            for copy in &sums[1..] {
                sum = S::add(sum, copy[n]);
            }
            S::store(out.add(n * S::LANES), if relu { S::relu(sum) } else { sum });
        }
    }
}

/// Outputs whose dot products are taken at once, so that a vector of inputs is loaded once for all of them.
const ROWS: usize = 4;

/// A layer that lies by output: a dot product an output.
///
/// # Safety
/// `x` holds `layer.inputs()` values, at `out` `padded(layer.outputs())` can be written; the machine has the
/// instructions of `S`.
#[inline(always)]
unsafe fn rows<S: Simd>(layer: &Dense<'_>, x: &[f32], out: *mut f32) {
    let outputs = layer.outputs();
    // SAFETY: outputs and their padding are inside `out`, and `output` plus the rows taken is at most `outputs`.
    unsafe {
        let mut output = 0;
        while output + ROWS <= outputs {
            dot_products::<S, ROWS>(layer, x, output, out);
            output += ROWS;
        }
        while output < outputs {
            dot_products::<S, 1>(layer, x, output, out);
            output += 1;
        }
        for pad in outputs..padded(outputs) {
            *out.add(pad) = 0.0;
        }
    }
}

/// The dot products of R outputs, from `output` on, with the inputs.
///
/// # Safety
/// As [`rows`]; `output + R` is at most `layer.outputs()`.
#[inline(always)]
unsafe fn dot_products<S: Simd, const R: usize>(layer: &Dense<'_>, x: &[f32], output: usize, out: *mut f32) {
    let stride = padded(layer.inputs());
    let whole = x.len() / S::LANES * S::LANES;
    // SAFETY: whole vectors of x lie inside x; a row of weights is padded to whole vectors, so that a vector from any
    // `at` below x's length lies inside it; there are a bias and a place for each output.
    unsafe {
        let row = layer.weights().as_ptr().add(output * stride);
        let mut sums = [S::splat(0.0); R];
        let mut at = 0;
        while at < whole {
            let value = S::load(x.as_ptr().add(at));
            for r in 0..R {
                sums[r] = S::mul_add(S::widen(row.add(r * stride + at)), value, sums[r]);
            }
            at += S::LANES;
        }
        if at < x.len() {
            // The rest of x, filled up with zeros, so that no sum reads past it.
            let mut rest = [0.0; LANES];
            rest[..x.len() - at].copy_from_slice(x.get_unchecked(at..));
            let value = S::load(rest.as_ptr());
            for r in 0..R {
                sums[r] = S::mul_add(S::widen(row.add(r * stride + at)), value, sums[r]);
            }
        }
        for r in 0..R {
            let sum = S::sum(sums[r]) + *layer.bias().get_unchecked(output + r);
            *out.add(output + r) = if layer.relu() { Scalar::relu(sum) } else { sum };
        }
    }
}

/// A convolution for one frame, channels last.
///
/// The inputs under one row of the kernel lie side by side, and so do their weights: for every output pixel and every
/// row of the kernel the inputs that are not 0 are one stretch of one list ([`stretches`]), which [`accumulate`] walks as
/// it walks that of a dense layer.
///
/// # Safety
/// `x` holds the layer's inputs, `out` has room for its outputs, `list` for an index of every input, and for one of every
/// pixel and one more; the machine has the instructions of `S`. [`super::Kernel::conv`] checks that.
#[inline(always)]
pub unsafe fn conv<S: Simd>(layer: &Conv<'_>, x: &[f32], out: &mut [f32], list: &mut [u32]) {
    // SAFETY: x, out and list are as long as asked for above, and `column` is below the outputs.
    unsafe {
        let (list, starts) = stretches::<S>(layer, x, list);
        let [_, _, outputs] = layer.output_shape();
        let mut column = 0;
        while column < outputs {
            let vectors = (outputs - column).div_ceil(S::LANES).min(S::SUMS);
            for_width!(vectors, pixels::<S>(layer, column, list, starts, x, out.as_mut_ptr()));
            column += vectors * S::LANES;
        }
    }
}

/// The indexes of inputs that are not 0, and for every pixel, and the end, how many there are before it.
///
/// # Safety
/// `x` holds the layer's inputs; `list` has room for an index of every input, and behind them for one of every pixel and
/// one more; the machine has the instructions of `S`.
#[inline(always)]
pub unsafe fn stretches<'a, S: Simd>(layer: &Conv<'_>, x: &[f32], list: &'a mut [u32]) -> (&'a [u32], &'a [u32]) {
    let [height, width, channels] = layer.input_shape();
    // SAFETY: the list is as long as asked for above, and a pixel's channels lie inside x.
    unsafe {
        let (list, starts) = list.split_at_mut_unchecked(x.len());
        let count = S::nonzero(x, list.as_mut_ptr());
        let mut before = 0;
        for pixel in 0..height * width {
            *starts.get_unchecked_mut(pixel) = before;
            let values = x.get_unchecked(pixel * channels..(pixel + 1) * channels);
            before += values.iter().map(|v| u32::from(*v != 0.0)).sum::<u32>();
        }
        *starts.get_unchecked_mut(height * width) = before;
        (list.get_unchecked(..count), starts.get_unchecked(..height * width + 1))
    }
}

/// Of a kernel that reaches `pad` to either side of `at`, the part inside an input of `size` rows (or columns): the first
/// row of the kernel in that part, and the range of the input's rows under it.
#[inline(always)]
pub fn span(at: usize, pad: usize, size: usize) -> (usize, [usize; 2]) {
    (pad.saturating_sub(at), [at.saturating_sub(pad), (at + pad + 1).min(size)])
}

/// N vectors of outputs, from `column` on, of every pixel.
///
/// # Safety
/// `list` and `starts` are what [`stretches`] gives for `x`; `column` is below the outputs, N vectors from there on lie
/// inside the padded ones; at `out` the layer's outputs can be written; the machine has the instructions of `S`.
#[inline(always)]
unsafe fn pixels<S: Simd, const N: usize, const U: usize>(
    layer: &Conv<'_>,
    column: usize,
    list: &[u32],
    starts: &[u32],
    x: &[f32],
    out: *mut f32,
) {
    let [height, width, channels] = layer.input_shape();
    let [rows, columns, outputs] = layer.output_shape();
    let [kernel, step] = layer.kernel();
    let (pad, stride) = (kernel / 2, layer.bias().len());
    // Vectors may reach past the outputs of a pixel, where those of the next one are.
    let whole = column + N * S::LANES <= outputs;
    // SAFETY: rows and columns of the kernel are cut to those inside the input, so starts, inputs and weights exist;
    // what is written is cut to the outputs of the pixel.
    unsafe {
        for row in 0..rows {
            let (first_row, [top, bottom]) = span(row * step, pad, height);
            for pixel in 0..columns {
                let (first_column, [left, right]) = span(pixel * step, pad, width);
                let mut sums = start::<S, N, U>(layer.bias().as_ptr().add(column));
                for y in top..bottom {
                    let from = *starts.get_unchecked(y * width + left) as usize;
                    let to = *starts.get_unchecked(y * width + right) as usize;
                    let tap = (first_row + y - top) * kernel + first_column;
                    let weights = ByInput {
                        row: layer.weights().as_ptr().add(tap * channels * stride + column),
                        first: (y * width + left) * channels,
                        stride,
                    };
                    accumulate::<S, N, U>(&mut sums, weights, list.get_unchecked(from..to), x);
                }
                let to = out.add((row * columns + pixel) * outputs + column);
                if whole {
                    finish::<S, N, U>(sums, to, layer.relu());
                } else {
                    let mut last = [0.0; 8 * LANES];
                    finish::<S, N, U>(sums, last.as_mut_ptr(), layer.relu());
                    core::ptr::copy_nonoverlapping(last.as_ptr(), to, outputs - column);
                }
            }
        }
    }
}

/// f16 bits as f32.
///
/// # Safety
/// Both slices have the same length; the machine has the instructions of `S`.
#[inline(always)]
pub unsafe fn widen<S: Simd>(halves: &[u16], out: &mut [f32]) {
    let whole = halves.len() / S::LANES * S::LANES;
    // SAFETY: whole vectors lie inside both slices; the rest goes through a vector of its own.
    unsafe {
        let mut at = 0;
        while at < whole {
            S::store(out.as_mut_ptr().add(at), S::widen(halves.as_ptr().add(at)));
            at += S::LANES;
        }
        let (mut rest, mut wide) = ([0; LANES], [0.0; LANES]);
        rest[..halves.len() - at].copy_from_slice(halves.get_unchecked(at..));
        S::store(wide.as_mut_ptr(), S::widen(rest.as_ptr()));
        out.get_unchecked_mut(at..).copy_from_slice(&wide[..halves.len() - at]);
    }
}
