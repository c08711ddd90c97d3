//! The arithmetic of a layer: f16 weights, f32 inputs, sums and outputs.
//!
//! Every instruction set (`arch/`) runs the same walks over its own vectors: `one_frame.rs`, where zeros are skipped, and
//! `many_frames.rs`, where weights are widened once for all frames. Only a Cortex-M with an FPU has walks of its own for
//! one frame (`arch/thumb.rs`). A zero input adds nothing to a sum as long as weights are finite, which reading a flash
//! image ensures. Sums differ from the scalar ones by the order of additions and by fused multiply-adds: at most n · 2⁻²³
//! of the sum of the absolute products, n the number of inputs.
//!
//! Of this module a program needs [`Kernel::best`], [`Kernel::all`] and [`Kernel::name`], to choose what an engine runs on;
//! the functions of a layer are inner, for the engines and for the tests of the kernels.
#![expect(unsafe_code, reason = "vector instructions and unchecked loads; each block says why it holds")]

mod arch;
mod many_frames;
mod one_frame;
mod simd;

use many_frames::Rows;

use crate::layer::{Conv, Dense, Layer, padded};

/// Work in plain Rust, of which a compiler makes vectors of whatever instruction set it is compiled for. For that,
/// `run` is `#[inline(always)]`, and so is what it calls.
#[cfg(feature = "std")]
pub(crate) trait Work {
    /// What the work gives.
    type Output;
    /// Does the work.
    fn run(self) -> Self::Output;
}

/// Values nearer to 0 than this, 2⁻⁷⁶, are taken for 0 where they enter the layers and after ReLU.
///
/// Many processors take a hundred times as long over a subnormal number, below 2⁻¹²⁶. An f16 weight is a multiple of 2⁻²⁴,
/// and a value of at least 2⁻⁷⁶ one of 2⁻⁹⁹ or more, so a sum of products is a multiple of 2⁻¹²³ and never subnormal. A
/// model learns nothing of such values: it takes standardised ones, or those of pictures.
pub(crate) const LEAST: f32 = f32::from_bits((127 - 76) << 23);

/// Whether this machine takes longer over subnormal numbers; the FPU of a Cortex-M does not, and its program is spared the
/// code.
const FLUSHES: bool = !cfg!(target_arch = "arm");

/// `value`, or 0 where it is nearer to 0 than `least`; a NaN stays.
#[inline(always)]
pub(crate) fn flushed(value: f32, least: f32) -> f32 {
    if FLUSHES && value.abs() < least { 0.0 } else { value }
}

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
    #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
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

/// Calls the function of that name of a set.
macro_rules! of_set {
    ($set:expr, $function:ident $arguments:tt) => {
        match $set {
            Set::Scalar => arch::base::$function $arguments,
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => arch::x86::avx2::$function $arguments,
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => arch::x86::avx512::$function $arguments,
            #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
            Set::Neon => arch::neon::$function $arguments,
        }
    };
}

impl Kernel {
    /// One value at a time, on every machine: plain Rust, which the others are tested against. On a Cortex-M with an FPU
    /// it is that FPU's instructions, and the only set, so that nothing else takes room in flash.
    pub const SCALAR: Self = Self(Set::Scalar);

    /// The fastest kernel that this machine has.
    pub fn best() -> Self {
        Self::all().last().unwrap_or(Self::SCALAR)
    }

    /// All kernels that this machine has, the fastest last.
    pub fn all() -> impl Iterator<Item = Self> {
        [
            Some(Set::Scalar),
            #[cfg(target_arch = "x86_64")]
            has!("avx2", "fma", "f16c").then_some(Set::Avx2),
            #[cfg(target_arch = "x86_64")]
            has!("avx512f").then_some(Set::Avx512),
            #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
            Some(Set::Neon),
        ]
        .into_iter()
        .flatten()
        .map(Self)
    }

    /// The name of the instruction set, as the makers of processors write it.
    pub fn name(self) -> &'static str {
        match self.0 {
            Set::Scalar => arch::base::NAME,
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => "AVX2 + F16C",
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => "AVX-512F",
            #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
            Set::Neon => "NEON",
        }
    }

    /// Places of the list of inputs that are not 0, for one frame: one an input, and for a convolution one a pixel and
    /// one more besides. Cortex-M makes do with a short list for a dense layer.
    pub fn list_len(self, layer: &Layer<'_>) -> usize {
        match layer {
            Layer::Dense(dense) => self.dense_list(dense),
            Layer::Conv(conv) => {
                let [height, width, channels] = conv.input_shape();
                height * width * (channels + 1) + 1
            }
        }
    }

    /// Places of the list for a dense layer.
    fn dense_list(self, layer: &Dense<'_>) -> usize {
        if self == Self::SCALAR { arch::base::list_len(layer.inputs()) } else { layer.inputs() }
    }

    /// Whether weights lie where the kernel can load them.
    fn aligned(self, weights: &[u16]) -> bool {
        self != Self::SCALAR || arch::base::aligned(weights)
    }

    /// A dense layer for one frame.
    ///
    /// `x` holds the inputs, `out` at least the outputs padded to [`crate::layer::LANES`], `list` the places that
    /// [`Kernel::list_len`] asks for. False, and nothing done, if one of them is too short; on Cortex-M also if the weights
    /// do not begin at a multiple of 4 bytes, as those of an image do.
    #[must_use]
    pub fn dense(self, layer: &Dense<'_>, x: &[f32], out: &mut [f32], list: &mut [u32]) -> bool {
        let Some(x) = x.get(..layer.inputs()) else { return false };
        if out.len() < padded(layer.outputs()) || list.len() < self.dense_list(layer) || !self.aligned(layer.weights())
        {
            return false;
        }
        // SAFETY: lengths, and where the weights lie, were looked at just now, and a set exists only where its
        // instructions do.
        unsafe { of_set!(self.0, dense(layer, x, out, list)) }
        true
    }

    /// A convolution for one frame, channels last.
    ///
    /// `x` holds the inputs, `out` the outputs, `list` the places that [`Kernel::list_len`] asks for. False, and nothing
    /// done, as for [`Kernel::dense`].
    #[must_use]
    pub fn conv(self, layer: &Conv<'_>, x: &[f32], out: &mut [f32], list: &mut [u32]) -> bool {
        let [height, width, channels] = layer.input_shape();
        let Some(x) = x.get(..height * width * channels) else { return false };
        let outputs: usize = layer.output_shape().iter().product();
        if out.len() < outputs || list.len() < x.len() + height * width + 1 || !self.aligned(layer.weights()) {
            return false;
        }
        // SAFETY: lengths, and where the weights lie, were looked at just now, and a set exists only where its
        // instructions do.
        unsafe { of_set!(self.0, conv(layer, x, out, list)) }
        true
    }

    /// Values of memory for widened weights that a layer takes for many frames at once.
    pub fn wide_len(layer: &Layer<'_>) -> usize {
        match layer {
            Layer::Dense(_) => many_frames::DENSE_WIDE,
            Layer::Conv(conv) => many_frames::conv_wide(conv),
        }
    }

    /// A dense layer for many frames.
    ///
    /// `x` and `out` hold rows of inputs and of outputs padded to [`crate::layer::LANES`], `strides` apart; `wide` has
    /// [`Kernel::wide_len`] values. False, and nothing done, if one of them is too short.
    #[must_use]
    pub fn dense_batch(
        self,
        layer: &Dense<'_>,
        x: &[f32],
        out: &mut [f32],
        strides: [usize; 2],
        frames: usize,
        wide: &mut [f32],
    ) -> bool {
        let needed = [layer.inputs(), padded(layer.outputs())];
        if !holds(x, needed[0], strides[0], frames) || !holds(out, needed[1], strides[1], frames) {
            return false;
        }
        if wide.len() < many_frames::DENSE_WIDE {
            return false;
        }
        let (x, out) = (Rows { at: x.as_ptr(), stride: strides[0] }, Rows { at: out.as_mut_ptr(), stride: strides[1] });
        // SAFETY: all lengths were compared just now, and a set exists only where its instructions do.
        unsafe { of_set!(self.0, dense_batch(layer, x, out, frames, wide)) }
        true
    }

    /// A convolution for many frames, channels last; as [`Kernel::dense_batch`], but outputs are not padded.
    #[must_use]
    pub fn conv_batch(
        self,
        layer: &Conv<'_>,
        x: &[f32],
        out: &mut [f32],
        strides: [usize; 2],
        frames: usize,
        wide: &mut [f32],
    ) -> bool {
        let needed = [layer.input_shape(), layer.output_shape()].map(|shape| shape.iter().product());
        if !holds(x, needed[0], strides[0], frames) || !holds(out, needed[1], strides[1], frames) {
            return false;
        }
        if wide.len() < many_frames::conv_wide(layer) {
            return false;
        }
        let (x, out) = (Rows { at: x.as_ptr(), stride: strides[0] }, Rows { at: out.as_mut_ptr(), stride: strides[1] });
        // SAFETY: all lengths were compared just now, and a set exists only where its instructions do.
        unsafe { of_set!(self.0, conv_batch(layer, x, out, frames, wide)) }
        true
    }

    /// Work, compiled for this instruction set.
    #[cfg(feature = "std")]
    pub(crate) fn run<W: Work>(self, work: W) -> W::Output {
        match self.0 {
            // SAFETY: the set exists only where its instructions do.
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => unsafe { arch::x86::avx2::run(work) },
            // SAFETY: the set exists only where its instructions do.
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => unsafe { arch::x86::avx512::run(work) },
            // The others have no more than what the rest of the program is compiled for.
            _ => work.run(),
        }
    }

    /// f16 bits as f32, one by one.
    pub fn widen(self, halves: &[u16], out: &mut [f32]) {
        let count = halves.len().min(out.len());
        let (halves, out) = (&halves[..count], &mut out[..count]);
        // SAFETY: both slices have the same length; a set exists only where its instructions do.
        unsafe { of_set!(self.0, widen(halves, out)) }
    }
}

/// Whether memory holds `frames` rows of `width` values, `stride` apart.
fn holds(memory: &[f32], width: usize, stride: usize, frames: usize) -> bool {
    let needed = frames.saturating_sub(1).checked_mul(stride).and_then(|n| n.checked_add(width));
    width <= stride && needed.is_some_and(|needed| frames == 0 || needed <= memory.len())
}
