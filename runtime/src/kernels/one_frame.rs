//! The loops over a layer, for vectors of any instruction set.
#![expect(clippy::needless_range_loop, reason = "one index runs over registers and over memory")]

use super::simd::Simd;
use crate::layer::{Conv, Dense, LANES, Layout, PANEL, padded};

/// Weights that lie by input: a row of `stride` f16 an input.
#[derive(Clone, Copy)]
struct ByInput {
    /// Row of the input `first`.
    row: *const u16,
    first: usize,
    stride: usize,
}

/// Rows ahead that are asked for.
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
/// As [`super::Kernel::dense`] has checked.
#[inline(always)]
pub unsafe fn dense<S: Simd>(layer: &Dense<'_>, x: &[f32], out: &mut [f32], list: &mut [u32]) {
    // SAFETY: lengths are the caller's; a panel's places are those of `Dense::place`.
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
#[inline(always)]
unsafe fn columns<S: Simd, const N: usize, const U: usize>(
    weights: ByInput,
    list: &[u32],
    x: &[f32],
    bias: *const f32,
    out: *mut f32,
    relu: bool,
) {
    // SAFETY: the caller's.
    unsafe {
        let mut sums = start::<S, N, U>(bias);
        accumulate::<S, N, U>(&mut sums, weights, list, x);
        finish::<S, N, U>(sums, out, relu);
    }
}

/// The biases in the first copy of the sums, 0 in the others.
#[inline(always)]
unsafe fn start<S: Simd, const N: usize, const U: usize>(bias: *const f32) -> [[S::V; N]; U] {
    // SAFETY: the caller's.
    unsafe {
        let mut sums = [[S::splat(0.0); N]; U];
        for n in 0..N {
            sums[0][n] = S::load(bias.add(n * S::LANES));
        }
        sums
    }
}

/// Adds the rows of the inputs in `list`, times their values.
#[inline(always)]
unsafe fn accumulate<S: Simd, const N: usize, const U: usize>(
    sums: &mut [[S::V; N]; U],
    weights: ByInput,
    list: &[u32],
    x: &[f32],
) {
    // SAFETY: every index in the list is one of an input, and the row of an input has N vectors.
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

/// Adds the copies up and writes them.
#[inline(always)]
unsafe fn finish<S: Simd, const N: usize, const U: usize>(sums: [[S::V; N]; U], out: *mut f32, relu: bool) {
    // SAFETY: the caller's.
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

/// Rows side by side, so that an input is loaded once for all of them.
const ROWS: usize = 4;

/// A layer that lies by output: a dot product an output.
#[inline(always)]
unsafe fn rows<S: Simd>(layer: &Dense<'_>, x: &[f32], out: *mut f32) {
    let outputs = layer.outputs();
    // SAFETY: a row has `padded(inputs)` weights; outputs are inside `out`.
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

#[inline(always)]
unsafe fn dot_products<S: Simd, const R: usize>(layer: &Dense<'_>, x: &[f32], output: usize, out: *mut f32) {
    let stride = padded(layer.inputs());
    let whole = x.len() / S::LANES * S::LANES;
    // SAFETY: whole vectors of x lie inside x, and rows are longer than x.
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
            *out.add(output + r) = if layer.relu() && sum < 0.0 { 0.0 } else { sum };
        }
    }
}

/// A convolution for one frame, channels last.
///
/// The inputs under one row of the kernel lie side by side, and so do their weights: for every output pixel and every
/// row of the kernel the inputs that are not 0 are one stretch of one list.
///
/// # Safety
/// As [`super::Kernel::conv`] has checked.
#[inline(always)]
pub unsafe fn conv<S: Simd>(layer: &Conv<'_>, x: &[f32], out: &mut [f32], list: &mut [u32]) {
    // SAFETY: the caller's.
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
/// `list` holds an index an input, and a start a pixel and one more behind them.
#[inline(always)]
pub unsafe fn stretches<'a, S: Simd>(layer: &Conv<'_>, x: &[f32], list: &'a mut [u32]) -> (&'a [u32], &'a [u32]) {
    let [height, width, channels] = layer.input_shape();
    // SAFETY: the caller's.
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

/// Of a kernel `pad` to either side of `at`, the part that is inside `size`: its first row (or column), and the range of
/// the input under it.
#[inline(always)]
pub fn span(at: usize, pad: usize, size: usize) -> (usize, [usize; 2]) {
    (pad.saturating_sub(at), [at.saturating_sub(pad), (at + pad + 1).min(size)])
}

/// N vectors of outputs, from `column` on, of every pixel.
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
    // SAFETY: rows and columns of the kernel are cut to those inside the input.
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
/// Both slices have the same length.
#[inline(always)]
pub unsafe fn widen<S: Simd>(halves: &[u16], out: &mut [f32]) {
    let whole = halves.len() / S::LANES * S::LANES;
    // SAFETY: whole vectors lie inside both; the rest goes through a vector of its own.
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
