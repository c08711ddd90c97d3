//! AVX2 with FMA and F16C, and AVX-512F.

use core::arch::x86_64::*;

use crate::kernels::LEAST;
use crate::kernels::simd::Simd;

/// Eight f32.
#[derive(Clone, Copy)]
pub struct Avx2;

// SAFETY: unaligned loads and stores of eight values each.
unsafe impl Simd for Avx2 {
    const LANES: usize = 8;
    const TILE: usize = 2;
    type V = __m256;

    #[inline(always)]
    unsafe fn splat(value: f32) -> __m256 {
        // SAFETY: the caller has AVX2, FMA and F16C.
        unsafe { _mm256_set1_ps(value) }
    }

    #[inline(always)]
    unsafe fn load(at: *const f32) -> __m256 {
        // SAFETY: the caller has AVX2, FMA and F16C, and eight values to read.
        unsafe { _mm256_loadu_ps(at) }
    }

    #[inline(always)]
    unsafe fn store(at: *mut f32, v: __m256) {
        // SAFETY: the caller has AVX2, FMA and F16C, and room for eight values.
        unsafe { _mm256_storeu_ps(at, v) }
    }

    #[inline(always)]
    unsafe fn widen(at: *const u16) -> __m256 {
        // SAFETY: the caller has AVX2, FMA and F16C, and eight values to read.
        unsafe { _mm256_cvtph_ps(_mm_loadu_si128(at.cast())) }
    }

    #[inline(always)]
    unsafe fn mul_add(a: __m256, b: __m256, c: __m256) -> __m256 {
        // SAFETY: the caller has AVX2, FMA and F16C.
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    unsafe fn add(a: __m256, b: __m256) -> __m256 {
        // SAFETY: the caller has AVX2, FMA and F16C.
        unsafe { _mm256_add_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn relu(v: __m256) -> __m256 {
        // SAFETY: the caller has AVX2, FMA and F16C.
        unsafe {
            let zero = _mm256_setzero_ps();
            _mm256_blendv_ps(v, _mm256_mul_ps(v, zero), _mm256_cmp_ps::<_CMP_LT_OQ>(v, _mm256_set1_ps(LEAST)))
        }
    }

    #[inline(always)]
    unsafe fn sum(v: __m256) -> f32 {
        // SAFETY: the caller has AVX2, FMA and F16C.
        unsafe {
            let half = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
            let pair = _mm_add_ps(half, _mm_movehl_ps(half, half));
            _mm_cvtss_f32(_mm_add_ss(pair, _mm_shuffle_ps::<1>(pair, pair)))
        }
    }

    #[inline(always)]
    unsafe fn prefetch(at: *const u16) {
        // SAFETY: the caller has AVX2, FMA and F16C.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
    }
}

/// Sixteen f32.
#[derive(Clone, Copy)]
pub struct Avx512;

// SAFETY: unaligned loads and stores of sixteen values each.
unsafe impl Simd for Avx512 {
    const LANES: usize = 16;
    type V = __m512;

    #[inline(always)]
    unsafe fn splat(value: f32) -> __m512 {
        // SAFETY: the caller has AVX-512F.
        unsafe { _mm512_set1_ps(value) }
    }

    #[inline(always)]
    unsafe fn load(at: *const f32) -> __m512 {
        // SAFETY: the caller has AVX-512F, and sixteen values to read.
        unsafe { _mm512_loadu_ps(at) }
    }

    #[inline(always)]
    unsafe fn store(at: *mut f32, v: __m512) {
        // SAFETY: the caller has AVX-512F, and room for sixteen values.
        unsafe { _mm512_storeu_ps(at, v) }
    }

    #[inline(always)]
    unsafe fn widen(at: *const u16) -> __m512 {
        // SAFETY: the caller has AVX-512F, and sixteen values to read.
        unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(at.cast())) }
    }

    #[inline(always)]
    unsafe fn mul_add(a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: the caller has AVX-512F.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    unsafe fn add(a: __m512, b: __m512) -> __m512 {
        // SAFETY: the caller has AVX-512F.
        unsafe { _mm512_add_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn relu(v: __m512) -> __m512 {
        // SAFETY: the caller has AVX-512F.
        unsafe {
            let zero = _mm512_setzero_ps();
            _mm512_mask_mul_ps(v, _mm512_cmp_ps_mask::<_CMP_LT_OQ>(v, _mm512_set1_ps(LEAST)), v, zero)
        }
    }

    #[inline(always)]
    unsafe fn sum(v: __m512) -> f32 {
        // SAFETY: the caller has AVX-512F.
        unsafe { _mm512_reduce_add_ps(v) }
    }

    #[inline(always)]
    unsafe fn prefetch(at: *const u16) {
        // SAFETY: the caller has AVX-512F.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
    }

    #[inline(always)]
    unsafe fn nonzero(x: &[f32], list: *mut u32) -> usize {
        // SAFETY: a full vector is stored only where sixteen places are left in the list, which has as many as x.
        unsafe {
            let mut count = 0;
            let mut indices = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
            let whole = x.len() / 16 * 16;
            let mut at = 0;
            while at < whole {
                let values = _mm512_loadu_ps(x.as_ptr().add(at));
                let mask = _mm512_cmp_ps_mask::<_CMP_NEQ_UQ>(values, _mm512_setzero_ps());
                // Compressing in a register and storing all of it is fast on every maker's processors.
                _mm512_storeu_si512(list.add(count).cast(), _mm512_maskz_compress_epi32(mask, indices));
                count += mask.count_ones() as usize;
                indices = _mm512_add_epi32(indices, _mm512_set1_epi32(16));
                at += 16;
            }
            for (offset, value) in x.get_unchecked(whole..).iter().enumerate() {
                *list.add(count) = (whole + offset) as u32;
                count += usize::from(*value != 0.0);
            }
            count
        }
    }
}

/// A module with the functions of a set, all of each compiled for its instructions.
macro_rules! compiled_for {
    ($module:ident, $set:ident, $features:literal) => {
        pub mod $module {
            use super::$set;

            walks!($set, #[target_feature(enable = $features)]);

            /// Work, compiled for this set.
            ///
            /// # Safety
            /// The machine has the instructions.
            #[cfg(feature = "std")]
            #[target_feature(enable = $features)]
            pub unsafe fn run<W: crate::kernels::Work>(work: W) -> W::Output {
                work.run()
            }
        }
    };
}

compiled_for!(avx2, Avx2, "avx2,fma,f16c");
compiled_for!(avx512, Avx512, "avx512f");
