//! Vectors of one value: plain Rust, and the oracle of the tests.

use half::f16;

use crate::kernels::LEAST;
use crate::kernels::simd::Simd;

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
        // SAFETY: the caller can read one value there.
        unsafe { *at }
    }

    #[inline(always)]
    unsafe fn store(at: *mut f32, v: f32) {
        // SAFETY: the caller can write one value there.
        unsafe { *at = v }
    }

    #[inline(always)]
    unsafe fn widen(at: *const u16) -> f32 {
        // SAFETY: the caller can read one value there.
        f16::from_bits(unsafe { *at }).to_f32_const()
    }

    #[inline(always)]
    unsafe fn mul_add(a: f32, b: f32, c: f32) -> f32 {
        a * b + c
    }

    #[inline(always)]
    unsafe fn relu(v: f32) -> f32 {
        // Not `max`, which would turn a NaN into 0.
        if v < LEAST { v * 0.0 } else { v }
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

/// How [`Kernel::name`](crate::kernels::Kernel::name) calls the set.
pub const NAME: &str = "scalar";

/// Places of the list of inputs that are not 0, for a dense layer of so many inputs.
pub fn list_len(inputs: usize) -> usize {
    inputs
}

/// Whether weights lie where they can be loaded, which is anywhere.
pub fn aligned(_weights: &[u16]) -> bool {
    true
}

walks!(Scalar);
