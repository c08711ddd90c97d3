//! Cortex-M with a single-precision FPU (M4F, M7, M33, M55): `vcvtb` and `vcvtt` widen f16 exactly, and 16 sums stay in
//! registers while the list of inputs that are not 0 is walked.
//!
//! The FPU has 32 registers of one value and no vectors. [`accumulate`] holds 16 sums in `s16` to `s31`, eight words of
//! weights, two f16 each, in `s2` to `s9`, two inputs in `s0` and `s1`, and widens into `s10` to `s13`; one `vldm` loads
//! the 16 weights of an input. Two indexes are taken a turn, so that loop and addresses cost half as much.
//!
//! A list that holds every input would be the largest part of the memory, so a dense layer makes do with [`LIST`] places:
//! the list is filled as far as it goes, all outputs walk it, and it is filled again from there; between two fillings the
//! sums rest in `out`, which begins as the biases.
//!
//! The compiler never chooses these instructions, and takes no FPU register as an operand of `asm!`; hence functions
//! that are assembly from the first instruction to the last. They keep what the procedure call standard asks for.
//! The assembler has to be told of the FPU in each of them, since it does not ask for the features of the target.
//! `vldm` faults at addresses that are no multiple of 4: [`Kernel`](crate::kernels::Kernel) asks [`aligned`] first.

use core::arch::naked_asm;

use super::scalar::Scalar;
pub use super::scalar::{conv_batch, dense_batch};
use crate::kernels::one_frame;
use crate::layer::{Conv, Dense, LANES, Layout, PANEL, padded};

/// The architecture of the FPU, as ARM names it.
pub const NAME: &str = "FPv4-SP";
/// Weights that [`dot`] takes in one turn of its loop.
const STEP: usize = 8;

/// Most places that the list of a dense layer's inputs has.
const LIST: usize = 64;

/// Places of the list of a dense layer, which is filled and walked as often as the inputs need it.
pub fn list_len(inputs: usize) -> usize {
    inputs.min(LIST)
}

/// Whether weights lie where `vldm` can load them.
pub fn aligned(weights: &[u16]) -> bool {
    weights.as_ptr().addr().is_multiple_of(4)
}

/// A dense layer for one frame; `out` gets the outputs padded to [`LANES`].
///
/// # Safety
/// `x` holds `layer.inputs()` values, `out` has room for `padded(layer.outputs())`, `list` for [`list_len`] indexes, at
/// least one; the weights begin at a multiple of 4 bytes. [`crate::kernels::Kernel::dense`] checks that.
pub unsafe fn dense(layer: &Dense<'_>, x: &[f32], out: &mut [f32], list: &mut [u32]) {
    let outputs = padded(layer.outputs());
    // SAFETY: x, out and list are as long as asked for above; `Dense` holds as many weights and biases as its shape needs,
    // and a panel's are where `Dense::place` says: every row at a multiple of 32 bytes from the first.
    unsafe {
        if layer.layout() == Layout::Rows {
            return rows(layer, x, out.as_mut_ptr());
        }
        out.as_mut_ptr().copy_from_nonoverlapping(layer.bias().as_ptr(), outputs);
        let mut next = 0;
        while next < x.len() {
            let count;
            (count, next) = nonzero(x, next, list);
            let mut column = 0;
            while column < outputs {
                let panel = column / PANEL * PANEL;
                let width = PANEL.min(outputs - panel);
                let weights = layer.weights().as_ptr().add(panel * layer.inputs() + column - panel);
                let stride = width * size_of::<u16>();
                accumulate(out.as_mut_ptr().add(column), list.as_ptr(), count, x.as_ptr(), weights, stride);
                column += LANES;
            }
        }
        if layer.relu() {
            relu(out.as_mut_ptr(), outputs);
        }
    }
}

/// Writes to `list` the indexes of values from `next` on that are not 0, as many as it holds; returns how many they are,
/// and from which value to go on.
fn nonzero(x: &[f32], next: usize, list: &mut [u32]) -> (usize, usize) {
    let (mut count, mut at) = (0, next);
    loop {
        // No more values than there are places.
        let some = (x.len() - at).min(list.len() - count);
        if some == 0 {
            return (count, at);
        }
        // SAFETY: so many values are left, and so many places.
        let end = unsafe { indexes(x.as_ptr().add(at), at as u32, list.as_mut_ptr().add(count), some) };
        count = (end.addr() - list.as_ptr().addr()) / size_of::<u32>();
        at += some;
    }
}

/// Negative values become 0; a NaN stays, and -∞ becomes one.
///
/// # Safety
/// `count` values lie at `at`, which nothing else borrows.
unsafe fn relu(at: *mut f32, count: usize) {
    // SAFETY: `count` values lie at `at`, and no one else holds them.
    for value in unsafe { core::slice::from_raw_parts_mut(at, count) } {
        if *value < 0.0 {
            *value *= 0.0;
        }
    }
}

/// A layer that lies by output: a dot product an output.
///
/// # Safety
/// `x` holds `layer.inputs()` values, at `out` `padded(layer.outputs())` can be written; the weights begin at a multiple
/// of 4 bytes.
unsafe fn rows(layer: &Dense<'_>, x: &[f32], out: *mut f32) {
    let outputs = layer.outputs();
    let whole = x.len() / STEP * STEP;
    // The rest of x, filled up with zeros, so that no sum reads past it. Rows are padded further.
    let mut rest = [0.0; STEP];
    rest.iter_mut().zip(&x[whole..]).for_each(|(slot, value)| *slot = *value);
    // SAFETY: a row has `padded(inputs)` weights; outputs are inside `out`.
    unsafe {
        for output in 0..outputs {
            let row = layer.weights().as_ptr().add(output * padded(x.len()));
            let mut sum = dot(row, x.as_ptr(), whole / STEP) + *layer.bias().get_unchecked(output);
            if whole < x.len() {
                sum += dot(row.add(whole), rest.as_ptr(), 1);
            }
            *out.add(output) = sum;
        }
        for pad in outputs..padded(outputs) {
            *out.add(pad) = 0.0;
        }
        if layer.relu() {
            relu(out, outputs);
        }
    }
}

/// A convolution for one frame, channels last: [`one_frame::conv`] with the sums of 16 outputs in registers.
///
/// # Safety
/// `x` holds the layer's inputs, `out` has room for its outputs, `list` for an index of every input, and for one of every
/// pixel and one more; the weights begin at a multiple of 4 bytes. [`crate::kernels::Kernel::conv`] checks that.
pub unsafe fn conv(layer: &Conv<'_>, x: &[f32], out: &mut [f32], list: &mut [u32]) {
    let [height, width, channels] = layer.input_shape();
    let [rows, columns, outputs] = layer.output_shape();
    let [kernel, step] = layer.kernel();
    let (pad, stride) = (kernel / 2, layer.bias().len());
    // SAFETY: x, out and list are as long as asked for above; rows and columns of the kernel are cut to those inside the
    // input; what is written is cut to the outputs of the pixel.
    unsafe {
        let (list, starts) = one_frame::stretches::<Scalar>(layer, x, list);
        for (row, pixel) in (0..rows).flat_map(|row| (0..columns).map(move |pixel| (row, pixel))) {
            let (first_row, [top, bottom]) = one_frame::span(row * step, pad, height);
            let (first_column, [left, right]) = one_frame::span(pixel * step, pad, width);
            let mut column = 0;
            while column < outputs {
                let mut sums = [0.0; LANES];
                sums.as_mut_ptr().copy_from_nonoverlapping(layer.bias().as_ptr().add(column), LANES);
                for y in top..bottom {
                    let from = *starts.get_unchecked(y * width + left) as usize;
                    let to = *starts.get_unchecked(y * width + right) as usize;
                    let tap = (first_row + y - top) * kernel + first_column;
                    // Where the row of input 0 would lie, which may be before the first weight.
                    let rows = (tap * channels).wrapping_sub((y * width + left) * channels);
                    let at = layer.weights().as_ptr().wrapping_add(rows.wrapping_mul(stride).wrapping_add(column));
                    let stride = stride * size_of::<u16>();
                    accumulate(sums.as_mut_ptr(), list.as_ptr().add(from), to - from, x.as_ptr(), at, stride);
                }
                if layer.relu() {
                    relu(sums.as_mut_ptr(), LANES);
                }
                let to = out.as_mut_ptr().add((row * columns + pixel) * outputs + column);
                to.copy_from_nonoverlapping(sums.as_ptr(), LANES.min(outputs - column));
                column += LANES;
            }
        }
    }
}

/// f16 bits as f32.
///
/// # Safety
/// Always sound.
pub unsafe fn widen(halves: &[u16], out: &mut [f32]) {
    for (half, slot) in halves.iter().zip(out) {
        // SAFETY: the function touches no memory.
        *slot = unsafe { widen_one(u32::from(*half)) };
    }
}

/// Four weights, two words, times the input in `$x`, added to their sums.
macro_rules! two_words {
    ($x:literal, $first:literal $second:literal, $a:literal $b:literal $c:literal $d:literal) => {
        concat!(
            "vcvtb.f32.f16 s10, ",
            $first,
            "\n",
            "vcvtt.f32.f16 s11, ",
            $first,
            "\n",
            "vcvtb.f32.f16 s12, ",
            $second,
            "\n",
            "vcvtt.f32.f16 s13, ",
            $second,
            "\n",
            "vfma.f32 ",
            $a,
            ", s10, ",
            $x,
            "\n",
            "vfma.f32 ",
            $b,
            ", s11, ",
            $x,
            "\n",
            "vfma.f32 ",
            $c,
            ", s12, ",
            $x,
            "\n",
            "vfma.f32 ",
            $d,
            ", s13, ",
            $x
        )
    };
}

/// The row of 16 weights at the address `$row`, times the input in `$x`, added to `s16` to `s31`.
macro_rules! row {
    ($row:literal, $x:literal) => {
        concat!(
            "vldm ", $row, ", {{s2-s9}}\n",
            two_words!($x, "s2" "s3", "s16" "s17" "s18" "s19"), "\n",
            two_words!($x, "s4" "s5", "s20" "s21" "s22" "s23"), "\n",
            two_words!($x, "s6" "s7", "s24" "s25" "s26" "s27"), "\n",
            two_words!($x, "s8" "s9", "s28" "s29" "s30" "s31")
        )
    };
}

/// Adds to 16 sums the rows of the inputs in `list`, times their values: 75 instructions for two inputs.
///
/// # Safety
/// 16 values at `sums`, `count` indexes of values of `x` at `list`; the row of input i, 16 f16, lies `i * stride` bytes
/// after `weights`, at a multiple of 4 bytes.
#[unsafe(naked)]
unsafe extern "C" fn accumulate(
    sums: *mut f32,
    list: *const u32,
    count: usize,
    x: *const f32,
    weights: *const u16,
    stride: usize,
) {
    naked_asm!(
        ".fpu fpv4-sp-d16",
        "push {{r4-r7, lr}}",
        "vpush {{s16-s31}}",
        // Past what was pushed: five words and sixteen.
        "ldrd r4, r5, [sp, #84]",
        "vldm r0, {{s16-s31}}",
        "subs r2, r2, #2",
        "blo 3f",
        "2:",
        "ldrd r6, r7, [r1], #8",
        "add r12, r3, r6, lsl #2",
        "vldr s0, [r12]",
        "add r12, r3, r7, lsl #2",
        "vldr s1, [r12]",
        "mla r6, r6, r5, r4",
        "mla r7, r7, r5, r4",
        row!("r6", "s0"),
        row!("r7", "s1"),
        "subs r2, r2, #2",
        "bhs 2b",
        // One more if the count is odd.
        "3:",
        "lsls r2, r2, #31",
        "beq 4f",
        "ldr r6, [r1]",
        "add r12, r3, r6, lsl #2",
        "vldr s0, [r12]",
        "mla r6, r6, r5, r4",
        row!("r6", "s0"),
        "4:",
        "vstm r0, {{s16-s31}}",
        "vpop {{s16-s31}}",
        "pop {{r4-r7, pc}}",
    )
}

/// Writes `first + i` to `list` for every value `x[i]` that is not 0; returns the end of what it wrote. Seven instructions
/// a value.
///
/// # Safety
/// `count` values at `x` and places at `list`, at least one.
#[unsafe(naked)]
unsafe extern "C" fn indexes(x: *const f32, first: u32, list: *mut u32, count: usize) -> *mut u32 {
    naked_asm!(
        "2:",
        "ldr r12, [r0], #4",
        // Without the sign, since -0 is 0 too; NaN is not.
        "lsls r12, r12, #1",
        "it ne",
        "strne r1, [r2], #4",
        "adds r1, r1, #1",
        "subs r3, r3, #1",
        "bne 2b",
        "mov r0, r2",
        "bx lr",
    )
}

/// The dot product of `steps` times [`STEP`] weights and values: 20 instructions a step.
///
/// # Safety
/// `steps` times [`STEP`] f16 lie at `weights`, a multiple of 4 bytes, and as many f32 at `x`.
#[unsafe(naked)]
unsafe extern "C" fn dot(weights: *const u16, x: *const f32, steps: usize) -> f32 {
    naked_asm!(
        ".fpu fpv4-sp-d16",
        "vpush {{s18-s21}}",
        // Four sums; 0 cannot be loaded directly.
        "mov r3, #0",
        "vmov s18, r3",
        "vmov s19, r3",
        "vmov s20, r3",
        "vmov s21, r3",
        "cbz r2, 3f",
        "2:",
        "vldm r1!, {{s0-s7}}",
        "vldm r0!, {{s8-s11}}",
        "vcvtb.f32.f16 s12, s8",
        "vcvtt.f32.f16 s13, s8",
        "vcvtb.f32.f16 s14, s9",
        "vcvtt.f32.f16 s15, s9",
        "vfma.f32 s18, s12, s0",
        "vfma.f32 s19, s13, s1",
        "vfma.f32 s20, s14, s2",
        "vfma.f32 s21, s15, s3",
        "vcvtb.f32.f16 s12, s10",
        "vcvtt.f32.f16 s13, s10",
        "vcvtb.f32.f16 s14, s11",
        "vcvtt.f32.f16 s15, s11",
        "vfma.f32 s18, s12, s4",
        "vfma.f32 s19, s13, s5",
        "vfma.f32 s20, s14, s6",
        "vfma.f32 s21, s15, s7",
        "subs r2, r2, #1",
        "bne 2b",
        "3:",
        "vadd.f32 s18, s18, s19",
        "vadd.f32 s20, s20, s21",
        "vadd.f32 s0, s18, s20",
        "vpop {{s18-s21}}",
        "bx lr",
    )
}

/// An f16 in the lower half of a word as f32.
///
/// # Safety
/// Always sound.
#[unsafe(naked)]
unsafe extern "C" fn widen_one(half: u32) -> f32 {
    naked_asm!(".fpu fpv4-sp-d16", "vmov s0, r0", "vcvtb.f32.f16 s0, s0", "bx lr")
}
