//! The instruction sets: a module each, all with the same functions, which [`super::Kernel`] chooses from.
//!
//! A set is a type that is [`Simd`](super::simd::Simd), and the walks over a layer, compiled for it. `base` is what
//! every machine has: [`scalar`], or on a Cortex-M with an FPU `thumb`, which has walks of its own for one frame.

/// The functions of a set: the walks over vectors of `$set`, each with the attribute that gives it the instructions.
macro_rules! walks {
    ($set:ty $(, #[$attribute:meta])?) => {
        /// A dense layer for one frame.
        ///
        /// # Safety
        /// As [`one_frame::dense`](crate::kernels::one_frame::dense).
        $(#[$attribute])?
        pub unsafe fn dense(
            layer: &crate::layer::Dense<'_>,
            x: &[f32],
            out: &mut [f32],
            list: &mut [u32],
        ) {
            // SAFETY: the walk asks for what this function asks for.
            unsafe { crate::kernels::one_frame::dense::<$set>(layer, x, out, list) }
        }

        /// A convolution for one frame.
        ///
        /// # Safety
        /// As [`one_frame::conv`](crate::kernels::one_frame::conv).
        $(#[$attribute])?
        pub unsafe fn conv(
            layer: &crate::layer::Conv<'_>,
            x: &[f32],
            out: &mut [f32],
            list: &mut [u32],
        ) {
            // SAFETY: the walk asks for what this function asks for.
            unsafe { crate::kernels::one_frame::conv::<$set>(layer, x, out, list) }
        }

        /// f16 bits as f32.
        ///
        /// # Safety
        /// As [`one_frame::widen`](crate::kernels::one_frame::widen).
        $(#[$attribute])?
        pub unsafe fn widen(halves: &[u16], out: &mut [f32]) {
            // SAFETY: the walk asks for what this function asks for.
            unsafe { crate::kernels::one_frame::widen::<$set>(halves, out) }
        }

        /// A dense layer for many frames.
        ///
        /// # Safety
        /// As [`many_frames::dense`](crate::kernels::many_frames::dense).
        $(#[$attribute])?
        pub unsafe fn dense_batch(
            layer: &crate::layer::Dense<'_>,
            x: crate::kernels::many_frames::Rows<*const f32>,
            out: crate::kernels::many_frames::Rows<*mut f32>,
            frames: usize,
            wide: &mut [f32],
        ) {
            // SAFETY: the walk asks for what this function asks for.
            unsafe { crate::kernels::many_frames::dense::<$set>(layer, x, out, frames, wide) }
        }

        /// A convolution for many frames.
        ///
        /// # Safety
        /// As [`many_frames::conv`](crate::kernels::many_frames::conv).
        $(#[$attribute])?
        pub unsafe fn conv_batch(
            layer: &crate::layer::Conv<'_>,
            x: crate::kernels::many_frames::Rows<*const f32>,
            out: crate::kernels::many_frames::Rows<*mut f32>,
            frames: usize,
            wide: &mut [f32],
        ) {
            // SAFETY: the walk asks for what this function asks for.
            unsafe { crate::kernels::many_frames::conv::<$set>(layer, x, out, frames, wide) }
        }
    };
}

core::cfg_select! {
    // A Cortex-M with an FPU: of ARM's 32-bit targets with one, only Cortex-M has no 64-bit atomics.
    all(target_arch = "arm", target_abi = "eabihf", not(target_has_atomic = "64")) => {
        #[expect(dead_code, reason = "`thumb` takes its place for one frame")]
        pub mod scalar;
        pub mod thumb;
        pub use thumb as base;
    }
    _ => {
        pub mod scalar;
        pub use scalar as base;
    }
}

// For rustfmt, which does not look into `cfg_select!`.
#[cfg(false)]
mod scalar;
#[cfg(false)]
mod thumb;

#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
pub mod neon;
#[cfg(target_arch = "x86_64")]
pub mod x86;
