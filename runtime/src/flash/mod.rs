//! The flash image (`.cvi`): a whole model as bytes that are read where they lie, in flash, in a mapped file, or in the
//! program itself.
//!
//! Little-endian throughout. Sections begin at multiples of 64 bytes, in the order below, without gaps but the zeros
//! that fill up to the next multiple of 64; the file ends at such a multiple. What a header word says follows from the
//! model, so every byte is either checked by a CRC-32C or must be 0.
//!
//! Header, 64 bytes:
//!
//! | word | content |
//! |---|---|
//! | 0 | magic `CVIM` |
//! | 1 | version, 2 |
//! | 2 | length of the file, bytes |
//! | 3, 4, 5 | channels, height and width of a frame |
//! | 6, 7 | clusters K, latent dimensions D |
//! | 8 | 1 if values are standardised, 0 if not |
//! | 9 | 1 if there is a learned cluster head, 0 if the mixture gives q(c\|x); 2 more if there is a critic |
//! | 10 | layers L |
//! | 11 | novelty threshold, f32, nats |
//! | 12, 13 | range of log v, f32 |
//! | 14 | temperature of q(c\|x), f32 |
//! | 15 | CRC-32C of bytes 0 to 60 and of the section table |
//!
//! Section table at byte 64, 16 bytes a section: offset, length, CRC-32C, 0. The sections:
//!
//! | section | content |
//! |---|---|
//! | 0 layers | L entries of 32 bytes: kind (0 dense, 1 convolution), ReLU (0, 1), layout (0 rows, 1 panels; convolution 0), 0, one byte each; inputs (channels), outputs, kernel, stride, input height, input width (0 for dense), 0 |
//! | 1 head | μ_c `[K,D]`, log σ_c² `[K]`, f32 |
//! | 2 scaling | shift `[P]`, factor `[P]`, f32, in the order of a frame; empty if not standardised |
//! | 3 golden | a frame `[P]`, then its log q(c\|x) `[K]` and novelty, f32: the self-test after an update |
//! | 4.. a layer each | bias f32 `[outputs padded to 16]`, then f16 weights in the layer's layout |
//! | 4 + L critic | only if there is one: 16 words, bias f32 `[P]`, local kernels f32 `[C,side,side]`, then three dense layers as above, in panels from 64 outputs on |
//!
//! The words of the critic are the outputs of its first two layers, the factor of its grid, 1 if the decoder is Bernoulli
//! and 0 if Gaussian, the sharpness f32, the side of its local kernels, and ten 0; [`CriticNetwork`] says what they are for. [`FlashModel::new`] checks its checksum alone, so that a program
//! that never explains carries no code for it; [`CriticNetwork::new`] checks the rest.
//!
//! Convolutions come first and hold values with channels last: `[row][column][channel]`. The last layer is dense, without
//! ReLU, and gives m `[D]`, log v `[D]` and, with a learned head, logits `[K]`, side by side.

#[cfg(feature = "std")]
mod buffer;
mod critic;
mod error;
mod read;
#[cfg(feature = "std")]
mod write;

#[cfg(feature = "std")]
pub use buffer::Buffer;
pub use critic::CriticNetwork;
pub use error::FlashError;
pub use read::{FlashModel, Golden, MAX_LAYERS};
#[cfg(feature = "std")]
pub use write::{ConvSpec, CriticSpec, DenseSpec, ModelSpec, encode, repair};
#[cfg(feature = "tract")]
pub(crate) use write::{conv_weights, dense_weights};

/// First bytes of an image.
pub const MAGIC: [u8; 4] = *b"CVIM";
/// The version this crate reads and writes.
pub const VERSION: u32 = 2;
/// Sections begin at multiples of this many bytes.
pub const ALIGNMENT: usize = 64;

/// Bytes of the header.
const HEADER: usize = 64;
/// Bytes of an entry of the section table.
const SECTION: usize = 16;
/// Bytes of an entry of the layer table.
const LAYER: usize = 32;
/// Bytes of the header of the critic's section.
const CRITIC_HEADER: usize = 64;
/// Sections before those of the layers.
const FIXED_SECTIONS: usize = 4;

/// Words of the header.
mod word {
    pub const VERSION: usize = 1;
    pub const LENGTH: usize = 2;
    pub const CHANNELS: usize = 3;
    pub const HEIGHT: usize = 4;
    pub const WIDTH: usize = 5;
    pub const CLUSTERS: usize = 6;
    pub const LATENT: usize = 7;
    pub const SCALED: usize = 8;
    pub const HEADS: usize = 9;
    pub const LAYERS: usize = 10;
    pub const THRESHOLD: usize = 11;
    pub const LOG_VAR_MIN: usize = 12;
    pub const LOG_VAR_MAX: usize = 13;
    pub const TEMPERATURE: usize = 14;
    pub const CHECKSUM: usize = 15;
}

/// Sections, by their place in the table.
mod section {
    pub const LAYERS: usize = 0;
    pub const HEAD: usize = 1;
    pub const SCALING: usize = 2;
    pub const GOLDEN: usize = 3;
}

/// CRC-32C of parts that follow each other: in hardware with `std`, with a table of 1 KiB on a microcontroller.
fn checksum(parts: &[&[u8]]) -> u32 {
    #[cfg(feature = "std")]
    {
        parts.iter().fold(0, |crc, part| crc32c::crc32c_append(crc, part))
    }
    #[cfg(not(feature = "std"))]
    {
        const CRC: crc::Crc<u32, crc::Table<1>> = crc::Crc::<u32, crc::Table<1>>::new(&crc::CRC_32_ISCSI);
        let mut digest = CRC.digest();
        parts.iter().for_each(|part| digest.update(part));
        digest.finalize()
    }
}

/// CRC-32C of the header's words and the section table.
fn header_checksum(bytes: &[u8], table: &[u8]) -> u32 {
    checksum(&[&bytes[..word::CHECKSUM * 4], table])
}

/// Bytes with the alignment that an [`FlashModel`] needs, for `include_bytes!`:
/// `static MODEL: &Aligned<[u8]> = &Aligned(*include_bytes!("model.cvi"));`
#[repr(C, align(64))]
pub struct Aligned<T: ?Sized>(pub T);
