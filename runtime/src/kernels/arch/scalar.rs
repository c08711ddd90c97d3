//! Vectors of one value: plain Rust, and the oracle of the tests.

use half::f16;

use super::batch::{self, Rows};
use super::generic::{self, Simd};
use crate::layer::{Conv, Dense};

/// A vector of one f32.
#[derive(Clone, Copy)]
pub struct Scalar;

// SAFETY: every function reads or writes one value at the address it is given.
unsafe impl Simd for Scalar {
    const LANES: usize = 1;
    type V = f32;

    #[inline(always)]
    unsafe fn splat(value: f32) -> f32 {
        value
    }

    #[inline(always)]
    unsafe fn load(at: *const f32) -> f32 {
        // SAFETY: the caller's.
        unsafe { *at }
    }

    #[inline(always)]
    unsafe fn store(at: *mut f32, v: f32) {
        // SAFETY: the caller's.
        unsafe { *at = v }
    }

    #[inline(always)]
    unsafe fn widen(at: *const u16) -> f32 {
        // SAFETY: the caller's.
        f16::from_bits(unsafe { *at }).to_f32_const()
    }

    #[inline(always)]
    unsafe fn mul_add(a: f32, b: f32, c: f32) -> f32 {
        a * b + c
    }

    #[inline(always)]
    unsafe fn relu(v: f32) -> f32 {
        // Not `max`, which would turn a NaN into 0.
        if v < 0.0 { 0.0 } else { v }
    }

    #[inline(always)]
    unsafe fn add(a: f32, b: f32) -> f32 {
        a + b
    }

    #[inline(always)]
    unsafe fn sum(v: f32) -> f32 {
        v
    }
}

pub const NAME: &str = "scalar";

/// Places of the list of a dense layer.
pub fn list_len(inputs: usize) -> usize {
    inputs
}

/// Whether weights lie where they can be loaded.
pub fn aligned(_weights: &[u16]) -> bool {
    true
}

/// # Safety
/// As [`generic::dense`].
pub unsafe fn dense(layer: &Dense<'_>, x: &[f32], out: &mut [f32], list: &mut [u32]) {
    // SAFETY: the caller's.
    unsafe { generic::dense::<Scalar>(layer, x, out, list) }
}

/// # Safety
/// As [`generic::conv`].
pub unsafe fn conv(layer: &Conv<'_>, x: &[f32], out: &mut [f32], list: &mut [u32]) {
    // SAFETY: the caller's.
    unsafe { generic::conv::<Scalar>(layer, x, out, list) }
}

/// # Safety
/// As [`batch::dense`].
pub unsafe fn dense_batch(
    layer: &Dense<'_>,
    x: Rows<*const f32>,
    out: Rows<*mut f32>,
    frames: usize,
    wide: &mut [f32],
) {
    // SAFETY: the caller's.
    unsafe { batch::dense::<Scalar>(layer, x, out, frames, wide) }
}

/// # Safety
/// As [`batch::conv`].
pub unsafe fn conv_batch(layer: &Conv<'_>, x: Rows<*const f32>, out: Rows<*mut f32>, frames: usize, wide: &mut [f32]) {
    // SAFETY: the caller's.
    unsafe { batch::conv::<Scalar>(layer, x, out, frames, wide) }
}

/// # Safety
/// As [`generic::widen`].
pub unsafe fn widen(halves: &[u16], out: &mut [f32]) {
    // SAFETY: the caller's.
    unsafe { generic::widen::<Scalar>(halves, out) }
}
