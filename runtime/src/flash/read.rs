//! Bytes checked once, then read without doubt.

use heapless::Vec;

use super::error::Part;
use super::{
    ALIGNMENT, FIXED_SECTIONS, FlashError, HEADER, LAYER, MAGIC, SECTION, VERSION, WINDOWING, checksum, front_end,
    header_checksum, section, word,
};
use crate::layer::{Conv, Dense, LANES, Layer, Layout, MAX_UNITS, padded};
use crate::{Calibration, FrameShape, FrontEnd, Head, MAX_CLUSTERS, ValueRange, Windowing};

const OUT_OF_PLACE: FlashError = FlashError::Inconsistent("a section is not where it belongs");
const WRONG_LENGTH: FlashError = FlashError::Inconsistent("a section has another length than its shape asks for");
const WRONG_LAYER: FlashError = FlashError::Inconsistent("a layer does not fit its shape, or the layer before it");
const NO_DECODER: FlashError =
    FlashError::Inconsistent("it has no decoder; `trainer export --novelty decoder` gives one");
#[cfg(feature = "std")]
const HAS_DECODER: FlashError = FlashError::Inconsistent("it has a decoder, which flash::DecoderModel reads");
const NOT_BUILT: FlashError = FlashError::Inconsistent("a front end needs runtime's feature `spectral`");
/// Whether this build can run a front end.
const SPECTRAL: bool = cfg!(feature = "spectral");
/// Whether this build reads how windows are cut.
const WINDOWS: bool = cfg!(feature = "windows");
const WINDOWS_NOT_BUILT: FlashError = FlashError::Inconsistent("how windows are cut needs runtime's feature `windows`");
const NO_WINDOWS: FlashError = FlashError::Inconsistent("hop and rate are none of windows of such frames");
const TOO_FEW_WEIGHTS: FlashError = FlashError::Inconsistent("a layer has too few weights");

/// Most layers of a model.
pub const MAX_LAYERS: usize = 16;

/// A model, read where its bytes lie.
#[derive(Clone, Debug)]
pub struct FlashModel<'a> {
    checksum: u32,
    shape: FrameShape,
    learned_head: bool,
    log_var_range: [f32; 2],
    head: Head<'a>,
    front_end: Option<FrontEnd<'a>>,
    scaling: Option<[&'a [f32]; 2]>,
    range: Option<ValueRange<'a>>,
    windowing: Option<Windowing>,
    golden: Golden<'a>,
    layers: Vec<Layer<'a>, MAX_LAYERS>,
    critic: Option<&'a [u8]>,
}

/// A frame, and what the model said of it when it was exported.
#[derive(Clone, Copy, Debug)]
pub struct Golden<'a> {
    /// The golden frame `[P]`.
    pub frame: &'a [f32],
    /// The model's log q(c|x) of the golden frame `[K]`, nats.
    pub log_responsibilities: &'a [f32],
    /// The novelty, nats.
    pub novelty: f32,
}

impl<'a> FlashModel<'a> {
    /// Checks every byte; nothing is copied.
    ///
    /// # Errors
    /// [`FlashError`]; never panics, whatever the bytes.
    pub fn new(bytes: &'a [u8]) -> Result<Self, FlashError> {
        let mut model = Self::empty();
        model.init(bytes)?;
        Ok(model)
    }

    /// A model of no layers, for [`FlashModel::init`].
    pub(crate) const fn empty() -> Self {
        Self {
            checksum: 0,
            shape: FrameShape { channels: 0, height: 0, width: 0 },
            learned_head: false,
            log_var_range: [0.0; 2],
            head: Head::empty(),
            front_end: None,
            scaling: None,
            range: None,
            windowing: None,
            golden: Golden { frame: &[], log_responsibilities: &[], novelty: 0.0 },
            layers: Vec::new(),
            critic: None,
        }
    }

    /// [`FlashModel::new`] in place; after an error it is [`FlashModel::empty`].
    pub(crate) fn init(&mut self, bytes: &'a [u8]) -> Result<(), FlashError> {
        let read = File::<false>::new(bytes).and_then(|file| self.read(&file));
        if read.is_err() {
            self.clear();
        }
        read
    }

    /// Leaves no layer, no cluster and no value of a frame, in place, so that nothing runs what is half a model.
    #[inline(never)]
    pub(crate) fn clear(&mut self) {
        self.shape = FrameShape { channels: 0, height: 0, width: 0 };
        self.layers.clear();
        self.head.clear();
        (self.front_end, self.scaling, self.range, self.windowing, self.critic) = (None, None, None, None, None);
        self.golden = Golden { frame: &[], log_responsibilities: &[], novelty: 0.0 };
        (self.checksum, self.learned_head) = (0, false);
    }

    /// Fills the model in from a file whose checksums hold.
    #[inline(always)]
    pub(super) fn read<const DECODER: bool>(&mut self, file: &File<'a, DECODER>) -> Result<(), FlashError> {
        let header = Header::read(file)?;
        let Header { shape, clusters: k, latent: d, .. } = header;
        // In place, as are the layers: both are large. K·D cannot overflow: K is at most 64, D at most 2²⁰.
        let weighted = file.section(section::HEAD)?.len() == (k * d + 2 * k) * size_of::<f32>();
        let weights = if weighted { k } else { 0 };
        let (mu_c, scales) = split(file.floats(section::HEAD, k * d + k + weights)?, k * d)?;
        let (log_var_c, log_weights) = split(scales, k)?;
        self.head
            .init(mu_c, log_var_c, log_weights, header.calibration)
            .map_err(|_| FlashError::Inconsistent("the head does not fit its shape"))?;
        let front_end = file.front_end(shape)?;
        let inputs = front_end.map_or(shape, |front_end| front_end.shape());
        let (scaling, range) = file.values(header.scaled, inputs.len(), shape.len())?;
        let windowing = file.windowing(shape)?;
        let golden = file.golden(shape.len(), k)?;
        let critic = file.critic()?;
        let are_maps = !matches!(front_end, Some(FrontEnd::Spectral(_)));
        read_layers(&mut self.layers, file, (inputs, are_maps), header.outputs())?;

        self.checksum = file.word(word::CHECKSUM);
        self.shape = shape;
        self.learned_head = header.learned_head;
        self.log_var_range = header.log_var_range;
        (self.front_end, self.scaling, self.range) = (front_end, scaling, range);
        self.windowing = windowing;
        self.golden = golden;
        self.critic = critic;
        Ok(())
    }

    /// The length in bytes that an image states in its first bytes; None if they do not begin one. Nothing else is
    /// checked.
    pub fn stated_length(bytes: &[u8]) -> Option<usize> {
        let begins = bytes.len() >= HEADER && bytes.starts_with(&MAGIC);
        begins.then(|| read_u32(bytes, word::LENGTH * 4) as usize)
    }

    /// The checksum in the header, which counts those of all sections: it tells one model from another.
    pub fn checksum(&self) -> u32 {
        self.checksum
    }

    /// Shape of a frame.
    pub fn shape(&self) -> FrameShape {
        self.shape
    }

    /// The mixture over the latents.
    pub fn head(&self) -> &Head<'a> {
        &self.head
    }

    /// Whether the last layer also gives the logits of q(c|x).
    pub fn learned_head(&self) -> bool {
        self.learned_head
    }

    /// Range that log v is clamped to.
    pub fn log_var_range(&self) -> [f32; 2] {
        self.log_var_range
    }

    /// The front end, which makes the features that the encoder takes of a frame; None where it takes the frame itself.
    pub fn front_end(&self) -> Option<&FrontEnd<'a>> {
        // Known where there is no FFT, so that such a program has no code for features.
        self.front_end.as_ref().filter(|_| SPECTRAL)
    }

    /// Shape of what the encoder takes: of the features of the front end if there is one, else of a frame. Maps that explain
    /// are of this shape.
    pub fn input_shape(&self) -> FrameShape {
        self.front_end().map_or(self.shape, FrontEnd::shape)
    }

    /// Shift and factor of every value `[P]` that the encoder takes, if values are standardised.
    pub fn scaling(&self) -> Option<[&'a [f32]; 2]> {
        self.scaling
    }

    /// The range of values seen in training; None in images that do not say, as those of before 2026-11-27.
    pub fn range(&self) -> Option<ValueRange<'a>> {
        self.range
    }

    /// How frames are cut out of a stream of samples; None in images that do not say, as those of frames that are no windows
    /// of a recording.
    pub fn windowing(&self) -> Option<Windowing> {
        self.windowing.filter(|_| WINDOWS)
    }

    /// The golden frame and its answer, for the self-test after an update.
    pub fn golden(&self) -> Golden<'a> {
        self.golden
    }

    /// The section of the critic, if there is one, for [`super::CriticNetwork`].
    pub(super) fn critic(&self) -> Option<&'a [u8]> {
        self.critic
    }

    /// The encoder, first layer first.
    pub fn layers(&self) -> &[Layer<'a>] {
        &self.layers
    }
}

/// The words of the header, each within its range.
struct Header {
    shape: FrameShape,
    clusters: usize,
    latent: usize,
    scaled: bool,
    learned_head: bool,
    log_var_range: [f32; 2],
    /// Threshold and temperature, which the head checks.
    calibration: Calibration,
}

impl Header {
    fn read<const DECODER: bool>(file: &File<'_, DECODER>) -> Result<Self, FlashError> {
        let number = |at| file.word(at) as usize;
        let shape =
            FrameShape { channels: number(word::CHANNELS), height: number(word::HEIGHT), width: number(word::WIDTH) };
        let (clusters, latent, scaled) = (number(word::CLUSTERS), number(word::LATENT), number(word::VALUES));
        let in_range = (1..=MAX_CLUSTERS).contains(&clusters)
            && (1..=MAX_UNITS).contains(&latent)
            && (1..=MAX_UNITS).contains(&shape.len());
        if !in_range || scaled > 7 {
            return Err(FlashError::Inconsistent("shapes or flags in the header are out of range"));
        }
        let [low, high] = [word::LOG_VAR_MIN, word::LOG_VAR_MAX].map(|at| file.float(at));
        if !low.is_finite() || !high.is_finite() {
            return Err(FlashError::NotFinite(Part::Header));
        }
        if low > high {
            return Err(FlashError::Inconsistent("the range of log v is empty"));
        }
        let calibration =
            Calibration { novelty_threshold: file.float(word::THRESHOLD), temperature: file.float(word::TEMPERATURE) };
        Ok(Self {
            shape,
            clusters,
            latent,
            scaled: scaled & 1 == 1,
            learned_head: number(word::HEADS) & 1 == 1,
            log_var_range: [low, high],
            calibration,
        })
    }

    /// Outputs of the last layer: m, log v and, with a learned head, logits.
    fn outputs(&self) -> usize {
        2 * self.latent + if self.learned_head { self.clusters } else { 0 }
    }
}

/// The chain of layers from a frame to `last` outputs.
fn read_layers<'a, const DECODER: bool>(
    layers: &mut Vec<Layer<'a>, MAX_LAYERS>,
    file: &File<'a, DECODER>,
    (shape, are_maps): (FrameShape, bool),
    last: usize,
) -> Result<(), FlashError> {
    let table = file.section(section::LAYERS)?;
    if table.len() != file.layers * LAYER {
        return Err(WRONG_LAYER);
    }
    layers.clear();
    // Height, width and channels of the maps as long as there are convolutions, which the features of a spectrum have none of.
    let mut maps = are_maps.then_some([shape.height, shape.width, shape.channels]);
    let mut units = shape.len();
    for (index, entry) in table.chunks_exact(LAYER).enumerate() {
        let number = |at: usize| read_u32(entry, at) as usize;
        let [kind, relu, layout, zero] = [entry[0], entry[1], entry[2], entry[3]];
        let [inputs, outputs, kernel, stride, height, width, reserved] = core::array::from_fn(|i| number(4 + 4 * i));
        if relu > 1 || zero != 0 || reserved != 0 || outputs == 0 || outputs > MAX_UNITS {
            return Err(WRONG_LAYER);
        }
        let (bias, weights) = file.weights(FIXED_SECTIONS + index, padded(outputs))?;
        let layer = match (kind, layout) {
            (0, 0 | 1) if [kernel, stride, height, width] == [0; 4] => {
                let layout = if layout == 0 { Layout::Rows } else { Layout::Panels };
                maps = None;
                Dense::new([inputs, outputs], layout, relu == 1, bias, weights).map(Layer::Dense)
            }
            (1, 0) if maps == Some([height, width, inputs]) => {
                Conv::new([height, width, inputs], outputs, [kernel, stride], relu == 1, bias, weights).map(Layer::Conv)
            }
            _ => None,
        }
        .ok_or(WRONG_LAYER)?;
        if layer.inputs() != units {
            return Err(WRONG_LAYER);
        }
        units = layer.outputs();
        if let Layer::Conv(conv) = &layer {
            maps = Some(conv.output_shape());
        }
        layers.push(layer).map_err(|_| WRONG_LAYER)?;
    }
    match layers.last() {
        Some(Layer::Dense(dense)) if !dense.relu() && units == last => Ok(()),
        _ => Err(FlashError::Inconsistent("the last layer does not give what the head takes")),
    }
}

/// Scaling and range of a frame's values.
type Values<'a> = (Option<[&'a [f32]; 2]>, Option<ValueRange<'a>>);

/// Bytes whose header, checksums and paddings hold; with a decoder or without, so that a program that never runs one
/// carries no code for it.
pub(super) struct File<'a, const DECODER: bool> {
    bytes: &'a [u8],
    layers: usize,
    front_end: bool,
    windowing: bool,
    critic: bool,
}

impl<'a, const DECODER: bool> File<'a, DECODER> {
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self, FlashError> {
        let short = |expected| FlashError::Short { expected, found: bytes.len() };
        if bytes.len() < HEADER {
            return Err(short(HEADER));
        }
        if bytes[..MAGIC.len()] != MAGIC {
            return Err(FlashError::Magic);
        }
        let stated = |at: usize| read_u32(bytes, at * 4) as usize;
        if stated(word::VERSION) != VERSION as usize {
            return Err(FlashError::Version { found: stated(word::VERSION) as u32 });
        }
        let length = stated(word::LENGTH);
        if bytes.len() < length {
            return Err(short(length));
        }
        if bytes.len() > length {
            return Err(FlashError::Length { stated: length, found: bytes.len() });
        }
        if bytes.as_ptr().align_offset(align_of::<f32>()) != 0 {
            return Err(FlashError::Misaligned);
        }
        let layers = stated(word::LAYERS);
        if !(1..=MAX_LAYERS).contains(&layers) {
            return Err(FlashError::Inconsistent("the number of layers is out of range"));
        }
        let (most, flags) = (if DECODER { 3 } else { 1 }, stated(word::HEADS) >> 1);
        #[cfg(feature = "std")]
        if !DECODER && matches!(flags, 2 | 3) {
            return Err(HAS_DECODER);
        }
        if flags > most {
            return Err(FlashError::Inconsistent("shapes or flags in the header are out of range"));
        }
        if DECODER && flags & 2 == 0 {
            return Err(NO_DECODER);
        }
        let critic = flags & 1;
        let front_end = stated(word::VALUES) >> 1 & 1;
        let windowing = stated(word::VALUES) >> 2 & 1;
        if !SPECTRAL && front_end == 1 {
            return Err(NOT_BUILT);
        }
        if !WINDOWS && windowing == 1 {
            return Err(WINDOWS_NOT_BUILT);
        }
        let windowing = if WINDOWS { windowing } else { 0 };
        let sections = FIXED_SECTIONS + layers + front_end + windowing + critic + usize::from(DECODER);
        let table = bytes.get(HEADER..HEADER + sections * SECTION).ok_or(short(HEADER + sections * SECTION))?;
        if header_checksum(bytes, table) != read_u32(bytes, word::CHECKSUM * 4) {
            return Err(FlashError::Damaged(Part::Header));
        }
        let front_end = SPECTRAL && front_end == 1;
        let file = Self { bytes, layers, front_end, windowing: windowing == 1, critic: critic == 1 };
        file.check_sections(sections)?;
        Ok(file)
    }

    /// Every section begins where the one before it ends, up to padding, and is as its checksum says.
    fn check_sections(&self, sections: usize) -> Result<(), FlashError> {
        let mut end = HEADER + sections * SECTION;
        for index in 0..sections {
            let start = end.checked_next_multiple_of(ALIGNMENT).ok_or(OUT_OF_PLACE)?;
            let [offset, length, stated, reserved] = self.entry(index);
            let next = start.checked_add(length as usize).filter(|next| *next <= self.bytes.len());
            let next = next.filter(|_| offset as usize == start && reserved == 0).ok_or(OUT_OF_PLACE)?;
            self.check_padding(end, start)?;
            let section = self.bytes.get(start..next).ok_or(OUT_OF_PLACE)?;
            if checksum(&[section]) != stated {
                return Err(FlashError::Damaged(Part::Section(index)));
            }
            end = next;
        }
        if end.checked_next_multiple_of(ALIGNMENT) != Some(self.bytes.len()) {
            return Err(OUT_OF_PLACE);
        }
        self.check_padding(end, self.bytes.len())
    }

    fn check_padding(&self, from: usize, to: usize) -> Result<(), FlashError> {
        let zeros = self.bytes.get(from..to).is_some_and(|padding| padding.iter().all(|b| *b == 0));
        if zeros { Ok(()) } else { Err(FlashError::Inconsistent("padding is not 0")) }
    }

    fn word(&self, at: usize) -> u32 {
        read_u32(self.bytes, at * 4)
    }

    fn float(&self, at: usize) -> f32 {
        f32::from_bits(self.word(at))
    }

    fn entry(&self, index: usize) -> [u32; 4] {
        let at = HEADER + index * SECTION;
        core::array::from_fn(|i| read_u32(self.bytes, at + 4 * i))
    }

    /// The place of the section of the windowing, where there is one.
    fn windowing_index(&self) -> usize {
        FIXED_SECTIONS + self.layers + usize::from(self.front_end)
    }

    /// The place of the critic's section, where there is one.
    fn critic_index(&self) -> usize {
        self.windowing_index() + usize::from(WINDOWS && self.windowing)
    }

    /// The front end of frames of a shape, if there is one.
    fn front_end(&self, shape: FrameShape) -> Result<Option<FrontEnd<'a>>, FlashError> {
        // Refused before in a build that cannot run one, which then holds no code for it.
        if !SPECTRAL || !self.front_end {
            return Ok(None);
        }
        let index = FIXED_SECTIONS + self.layers;
        front_end::read(self.section(index)?, Part::Section(index), shape).map(Some)
    }

    /// How frames of a shape are cut out of a stream, if that is known.
    fn windowing(&self, shape: FrameShape) -> Result<Option<Windowing>, FlashError> {
        // Refused before in a build that does not read it, which then holds no code for it.
        if !WINDOWS || !self.windowing {
            return Ok(None);
        }
        let [hop, rate] = match self.section(self.windowing_index())? {
            bytes if bytes.len() == WINDOWING => [0, 4].map(|at| read_u32(bytes, at)),
            _ => return Err(WRONG_LENGTH),
        };
        Windowing::of_stored(shape, hop, f32::from_bits(rate)).map(Some).ok_or(NO_WINDOWS)
    }

    /// The place of the decoder's section, where there is one.
    pub(super) fn decoder_index(&self) -> usize {
        self.critic_index() + usize::from(self.critic)
    }

    pub(super) fn section(&self, index: usize) -> Result<&'a [u8], FlashError> {
        let [offset, length, ..] = self.entry(index).map(|v| v as usize);
        // It is inside: `check_sections` has seen to that.
        self.bytes.get(offset..offset + length).ok_or(OUT_OF_PLACE)
    }

    /// A section of finite f32 values.
    fn all_floats(&self, index: usize) -> Result<&'a [f32], FlashError> {
        let values: &[f32] = bytemuck::try_cast_slice(self.section(index)?).map_err(|_| WRONG_LENGTH)?;
        if values.iter().any(|v| !v.is_finite()) {
            return Err(FlashError::NotFinite(Part::Section(index)));
        }
        Ok(values)
    }

    /// A section of `count` finite f32 values.
    fn floats(&self, index: usize, count: usize) -> Result<&'a [f32], FlashError> {
        let values = self.all_floats(index)?;
        if values.len() == count { Ok(values) } else { Err(WRONG_LENGTH) }
    }

    /// Shift and factor of `length` values each, if they are standardised, and the range of the `frame` values of a frame, if
    /// it is known.
    fn values(&self, scaled: bool, length: usize, frame: usize) -> Result<Values<'a>, FlashError> {
        let values = self.all_floats(section::VALUES)?;
        let scaling = match scaled {
            true => Some([values.get(..length), values.get(length..2 * length)]),
            false => None,
        };
        let range = values.get(if scaled { 2 * length } else { 0 }..).ok_or(WRONG_LENGTH)?;
        let scaling = scaling.map(|parts| parts.map(Option::unwrap_or_default));
        if range.is_empty() {
            return Ok((scaling, None));
        }
        let (least, most) = range.split_at(range.len() / 2);
        match ValueRange::of_finite(least, most, frame) {
            None => Err(WRONG_LENGTH),
            range => Ok((scaling, range)),
        }
    }

    /// The golden frame of `length` values, and its answer.
    fn golden(&self, length: usize, clusters: usize) -> Result<Golden<'a>, FlashError> {
        let (frame, answer) = split(self.floats(section::GOLDEN, length + clusters + 1)?, length)?;
        let (log_responsibilities, novelty) = split(answer, clusters)?;
        let novelty = novelty.first().copied().unwrap_or_default();
        Ok(Golden { frame, log_responsibilities, novelty })
    }

    /// The section of the critic, if there is one.
    fn critic(&self) -> Result<Option<&'a [u8]>, FlashError> {
        if self.critic { self.section(self.critic_index()).map(Some) } else { Ok(None) }
    }

    /// Bias and weights of a layer, all finite.
    fn weights(&self, index: usize, outputs: usize) -> Result<(&'a [f32], &'a [u16]), FlashError> {
        let bytes = self.section(index)?;
        let (bias, weights) = bytes.split_at_checked(outputs * size_of::<f32>()).ok_or(TOO_FEW_WEIGHTS)?;
        let bias: &[f32] = bytemuck::try_cast_slice(bias).map_err(|_| TOO_FEW_WEIGHTS)?;
        let weights: &[u16] = bytemuck::try_cast_slice(weights).map_err(|_| TOO_FEW_WEIGHTS)?;
        if finite(bias, weights) { Ok((bias, weights)) } else { Err(FlashError::NotFinite(Part::Section(index))) }
    }
}

/// The first `count` values, and the others.
fn split(values: &[f32], count: usize) -> Result<(&[f32], &[f32]), FlashError> {
    values.split_at_checked(count).ok_or(WRONG_LENGTH)
}

/// Whether bias and f16 weights are finite.
pub(super) fn finite(bias: &[f32], weights: &[u16]) -> bool {
    /// All exponent bits of an f16: infinite or NaN.
    const EXPONENT: u16 = 0x7c00;
    // Looks at every value, which a compiler makes vectors of.
    let infinite = weights.iter().fold(false, |infinite, w| infinite | (w & EXPONENT == EXPONENT));
    !infinite && bias.iter().all(|v| v.is_finite())
}

/// The word at byte `at`, 0 past the end, where no caller reads.
pub(super) fn read_u32(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes)
}

const _: () = assert!(cfg!(target_endian = "little"), "an model is read in place, which needs a little-endian machine");
const _: () = assert!(ALIGNMENT.is_multiple_of(LANES * size_of::<f32>()));
