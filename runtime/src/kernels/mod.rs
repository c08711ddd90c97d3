//! The arithmetic of a layer: f16 weights, f32 inputs, sums and outputs.
//!
//! Every instruction set runs the same code ([`generic`]) over its own vectors ([`Simd`]). A zero input adds nothing to
//! a sum as long as weights are finite, which the image's loader ensures; where weights lie by input, zeros are skipped
//! and their weights never read. Sums differ from the scalar ones by the order of additions and by fused
//! multiply-adds: at most n · 2⁻²³ of the sum of the absolute products, n the number of inputs.
#![expect(unsafe_code, reason = "vector instructions and unchecked loads; each block says why it holds")]

mod generic;
#[cfg(target_arch = "aarch64")]
mod neon;
mod scalar;
#[cfg(target_arch = "x86_64")]
mod x86;

use crate::layer::{Conv, Dense, padded};

/// An instruction set that this machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel(Set);

/// Only [`Kernel::best`] and [`Kernel::all`] make one that is not scalar, and only where it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Set {
    Scalar,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "aarch64")]
    Neon,
}

/// Whether the machine has the features: asked at run time with `std`, known when compiling without.
#[cfg(target_arch = "x86_64")]
macro_rules! has {
    ($($feature:tt),+) => {{
        #[cfg(feature = "std")]
        let has = $(std::arch::is_x86_feature_detected!($feature))&&+;
        #[cfg(not(feature = "std"))]
        let has = $(cfg!(target_feature = $feature))&&+;
        has
    }};
}

impl Kernel {
    /// Plain Rust, which the others are tested against.
    pub const SCALAR: Self = Self(Set::Scalar);

    /// The fastest.
    pub fn best() -> Self {
        Self::all().last().unwrap_or(Self::SCALAR)
    }

    /// All that this machine has, fastest last.
    pub fn all() -> impl Iterator<Item = Self> {
        [
            Some(Set::Scalar),
            #[cfg(target_arch = "x86_64")]
            has!("avx2", "fma", "f16c").then_some(Set::Avx2),
            #[cfg(target_arch = "x86_64")]
            has!("avx512f").then_some(Set::Avx512),
            #[cfg(target_arch = "aarch64")]
            cfg!(target_feature = "neon").then_some(Set::Neon),
        ]
        .into_iter()
        .flatten()
        .map(Self)
    }

    /// Its name, as the makers of processors write it.
    pub fn name(self) -> &'static str {
        match self.0 {
            Set::Scalar => "scalar",
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => "AVX2 + F16C",
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => "AVX-512F",
            #[cfg(target_arch = "aarch64")]
            Set::Neon => "NEON",
        }
    }

    /// A dense layer for one frame.
    ///
    /// `x` holds the inputs, `out` at least the outputs padded to [`crate::layer::LANES`], `list` one place an input.
    /// False, and nothing done, if one of them is too short.
    #[must_use]
    pub fn dense(self, layer: &Dense<'_>, x: &[f32], out: &mut [f32], list: &mut [u32]) -> bool {
        let Some(x) = x.get(..layer.inputs()) else { return false };
        if out.len() < padded(layer.outputs()) || list.len() < layer.inputs() {
            return false;
        }
        // SAFETY: `Dense` holds as many weights and biases as its shape asks for, the lengths of the rest were
        // compared just now, and a set exists only where its instructions do.
        unsafe {
            match self.0 {
                Set::Scalar => generic::dense::<scalar::Scalar>(layer, x, out, list),
                #[cfg(target_arch = "x86_64")]
                Set::Avx2 => x86::dense_avx2(layer, x, out, list),
                #[cfg(target_arch = "x86_64")]
                Set::Avx512 => x86::dense_avx512(layer, x, out, list),
                #[cfg(target_arch = "aarch64")]
                Set::Neon => neon::dense(layer, x, out, list),
            }
        }
        true
    }

    /// A convolution for one frame, channels last.
    ///
    /// `x` holds the inputs, `out` the outputs, `list` one place an input and one a pixel and one more. False, and nothing done, if one of them is too short.
    #[must_use]
    pub fn conv(self, layer: &Conv<'_>, x: &[f32], out: &mut [f32], list: &mut [u32]) -> bool {
        let [height, width, channels] = layer.input_shape();
        let Some(x) = x.get(..height * width * channels) else { return false };
        let outputs: usize = layer.output_shape().iter().product();
        if out.len() < outputs || list.len() < x.len() + height * width + 1 {
            return false;
        }
        // SAFETY: as for `dense`, with the shape of `Conv`.
        unsafe {
            match self.0 {
                Set::Scalar => generic::conv::<scalar::Scalar>(layer, x, out, list),
                #[cfg(target_arch = "x86_64")]
                Set::Avx2 => x86::conv_avx2(layer, x, out, list),
                #[cfg(target_arch = "x86_64")]
                Set::Avx512 => x86::conv_avx512(layer, x, out, list),
                #[cfg(target_arch = "aarch64")]
                Set::Neon => neon::conv(layer, x, out, list),
            }
        }
        true
    }

    /// f16 bits as f32, one by one.
    pub fn widen(self, halves: &[u16], out: &mut [f32]) {
        let count = halves.len().min(out.len());
        let (halves, out) = (&halves[..count], &mut out[..count]);
        // SAFETY: both slices have the same length; a set exists only where its instructions do.
        unsafe {
            match self.0 {
                Set::Scalar => generic::widen::<scalar::Scalar>(halves, out),
                #[cfg(target_arch = "x86_64")]
                Set::Avx2 => x86::widen_avx2(halves, out),
                #[cfg(target_arch = "x86_64")]
                Set::Avx512 => x86::widen_avx512(halves, out),
                #[cfg(target_arch = "aarch64")]
                Set::Neon => neon::widen(halves, out),
            }
        }
    }
}
