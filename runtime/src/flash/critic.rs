//! The section of the critic, read only by who explains: [`super::FlashModel`] checks its checksum and leaves it alone.

use super::error::Part;
use super::read::read_u32;
use super::rest::Rest;
use super::{CRITIC_HEADER, FIXED_SECTIONS, FlashError, FlashModel};
use crate::FrameShape;
use crate::layer::{Dense, Layout, MAX_UNITS, padded};

/// Words of the header that say something.
const USED_WORDS: usize = 6;
/// Largest side of a local kernel.
const MAX_SIDE: usize = 31;
const WRONG: FlashError = FlashError::Inconsistent("the critic does not fit the model");

/// The amortised critic: from the latent mean m of a frame to what the model expects of each value, and from there to
/// trust, how well the value agrees with it.
///
/// ```text
/// grid = dense₃(relu(dense₂(relu(dense₁(m)))))          [C, ⌈H/factor⌉, ⌈W/factor⌉]
/// x̂    = mean(enlarge(grid) + local(x) + bias)          [C,H,W]
/// trust = exp(-sharpness · (x - x̂)²)                    [C,H,W]
/// ```
///
/// `enlarge` interpolates linearly in both directions ([`CriticNetwork::tap`]); `local` is a convolution of each channel
/// with a kernel of its own, zeros around the frame; `mean` is the logistic function where the
/// decoder is Bernoulli, and nothing where it is Gaussian.
#[derive(Clone, Debug)]
pub struct CriticNetwork<'a> {
    dense: [Dense<'a>; 3],
    bias: &'a [f32],
    local: &'a [f32],
    side: usize,
    factor: usize,
    bernoulli: bool,
    sharpness: f32,
    /// Values that the front end of the model works in.
    work: usize,
    /// Checksum of the model, whose latents alone mean anything to the critic.
    model: u32,
}

impl<'a> CriticNetwork<'a> {
    /// The critic of an image; None if it has none.
    ///
    /// # Errors
    /// [`FlashError::Inconsistent`] or [`FlashError::NotFinite`] if the section makes no sense; never panics.
    pub fn new(model: &FlashModel<'a>) -> Result<Option<Self>, FlashError> {
        let optional = [model.front_end().is_some(), model.windowing().is_some()].map(usize::from);
        let part = Part::Section(FIXED_SECTIONS + model.layers().len() + optional.iter().sum::<usize>());
        let work = model.front_end().map_or(0, |front_end| front_end.work());
        let read = |bytes| read(bytes, part, model.input_shape(), model.head().latent());
        model
            .critic()
            .map(|bytes| read(bytes).map(|network| Self { work, model: model.checksum(), ..network }))
            .transpose()
    }

    /// The checksum of the image that the critic is in.
    pub fn model(&self) -> u32 {
        self.model
    }

    /// Values of memory that the front end of the model works in, 0 where there is none.
    pub(crate) fn work_len(&self) -> usize {
        self.work
    }

    /// The layers that make a grid of m, the last without ReLU.
    pub fn dense(&self) -> &[Dense<'a>; 3] {
        &self.dense
    }

    /// The bias `[C,H,W]`, which is added to the enlarged grid.
    pub fn bias(&self) -> &'a [f32] {
        self.bias
    }

    /// Kernels of the local convolution `[C,side,side]`.
    pub fn local(&self) -> &'a [f32] {
        self.local
    }

    /// The side of the local kernels, odd.
    pub fn side(&self) -> usize {
        self.side
    }

    /// Values of a frame, in each direction, for each value of the grid.
    pub fn factor(&self) -> usize {
        self.factor
    }

    /// Whether the decoder is Bernoulli, so that `mean` is the logistic function.
    pub fn bernoulli(&self) -> bool {
        self.bernoulli
    }

    /// 1/(2s²), s the noise of a value.
    pub fn sharpness(&self) -> f32 {
        self.sharpness
    }

    /// The two places of a grid of `length` that a value at `at` lies between, and the share of the second.
    ///
    /// Frame and grid are both divided into equal cells that have their value in the middle; past the middle of the last
    /// cell the value stays.
    pub fn tap(at: usize, factor: usize, length: usize) -> (usize, usize, f32) {
        let last = length.saturating_sub(1);
        let place = ((at as f32 + 0.5) / factor as f32 - 0.5).clamp(0.0, last as f32);
        let first = (place as usize).min(last);
        (first, (first + 1).min(last), place - first as f32)
    }
}

fn read<'a>(bytes: &'a [u8], part: Part, shape: FrameShape, latent: usize) -> Result<CriticNetwork<'a>, FlashError> {
    let (header, rest) = bytes.split_at_checked(CRITIC_HEADER).ok_or(WRONG)?;
    let words: [u32; CRITIC_HEADER / 4] = core::array::from_fn(|i| read_u32(header, 4 * i));
    let [hidden, units, factor, bernoulli] = [words[0], words[1], words[2], words[3]].map(|word| word as usize);
    let sharpness = f32::from_bits(words[4]);
    let side = words[5] as usize;
    let zeros = words.iter().skip(USED_WORDS).all(|word| *word == 0);
    if !zeros || !(1..=MAX_UNITS).contains(&factor) || bernoulli > 1 || side.is_multiple_of(2) || side > MAX_SIDE {
        return Err(WRONG);
    }
    if !sharpness.is_finite() || sharpness < 0.0 {
        return Err(FlashError::NotFinite(part));
    }
    let grid = shape.channels * shape.height.div_ceil(factor) * shape.width.div_ceil(factor);
    let mut rest = Rest { bytes: rest, part, wrong: WRONG };
    let bias = rest.floats(shape.len())?;
    let local = rest.floats(shape.channels * side * side)?;
    let dense = [
        dense(&mut rest, [latent, hidden], true)?,
        dense(&mut rest, [hidden, units], true)?,
        dense(&mut rest, [units, grid], false)?,
    ];
    if !rest.bytes.is_empty() {
        return Err(WRONG);
    }
    Ok(CriticNetwork { dense, bias, local, side, factor, bernoulli: bernoulli == 1, sharpness, work: 0, model: 0 })
}

/// The next layer of these widths.
fn dense<'a>(rest: &mut Rest<'a>, widths: [usize; 2], relu: bool) -> Result<Dense<'a>, FlashError> {
    // Longer ones cannot be counted, and are no layer's.
    if widths.iter().any(|width| *width > MAX_UNITS) {
        return Err(WRONG);
    }
    let layout = Layout::for_outputs(widths[1]);
    let bias = rest.floats(padded(widths[1]))?;
    let weights = rest.weights(Dense::weight_count(widths, layout))?;
    Dense::new(widths, layout, relu, bias, weights).ok_or(WRONG)
}
