//! NEON with the conversion from f16, which every AArch64 processor has.

use core::arch::aarch64::*;
use core::arch::asm;

use crate::kernels::LEAST;
use crate::kernels::simd::Simd;

/// Four f32.
#[derive(Clone, Copy)]
struct Neon;

// SAFETY: unaligned loads and stores of four values each.
unsafe impl Simd for Neon {
    const LANES: usize = 4;
    type V = float32x4_t;

    #[inline(always)]
    unsafe fn splat(value: f32) -> float32x4_t {
        // SAFETY: the caller has NEON.
        unsafe { vdupq_n_f32(value) }
    }

    #[inline(always)]
    unsafe fn load(at: *const f32) -> float32x4_t {
        // SAFETY: the caller has NEON, and four values to read.
        unsafe { vld1q_f32(at) }
    }

    #[inline(always)]
    unsafe fn store(at: *mut f32, v: float32x4_t) {
        // SAFETY: the caller has NEON, and room for four values.
        unsafe { vst1q_f32(at, v) }
    }

    #[inline(always)]
    unsafe fn widen(at: *const u16) -> float32x4_t {
        // SAFETY: the caller has NEON, and four values to read; the instruction reads and writes the two registers and nothing else. The intrinsic for
        // it takes a type that is not stable.
        unsafe {
            let halves = vld1_u16(at);
            let wide: float32x4_t;
            asm!("fcvtl {wide:v}.4s, {halves:v}.4h", wide = lateout(vreg) wide, halves = in(vreg) halves,
                 options(pure, nomem, nostack, preserves_flags));
            wide
        }
    }

    #[inline(always)]
    unsafe fn mul_add(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        // SAFETY: the caller has NEON.
        unsafe { vfmaq_f32(c, a, b) }
    }

    #[inline(always)]
    unsafe fn add(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: the caller has NEON.
        unsafe { vaddq_f32(a, b) }
    }

    #[inline(always)]
    unsafe fn relu(v: float32x4_t) -> float32x4_t {
        // SAFETY: the caller has NEON.
        unsafe {
            let zero = vdupq_n_f32(0.0);
            vbslq_f32(vcltq_f32(v, vdupq_n_f32(LEAST)), vmulq_f32(v, zero), v)
        }
    }

    #[inline(always)]
    unsafe fn sum(v: float32x4_t) -> f32 {
        // SAFETY: the caller has NEON.
        unsafe { vaddvq_f32(v) }
    }
}

walks!(Neon);
