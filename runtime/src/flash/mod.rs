#![doc = include_str!("../../docs/flash-format.md")]

#[cfg(feature = "std")]
mod buffer;
mod critic;
mod decoder;
mod error;
mod front_end;
mod read;
mod rest;
#[cfg(feature = "std")]
mod write;

#[cfg(feature = "std")]
pub use buffer::Buffer;
pub use critic::CriticNetwork;
pub(crate) use decoder::DecoderNetwork;
pub use decoder::{DecoderModel, MAX_DECODER_LAYERS};
pub use error::{FlashError, Part};
pub use read::{FlashModel, Golden, MAX_LAYERS};
#[cfg(feature = "std")]
pub use write::{ConvSpec, CriticSpec, DecoderSpec, DenseSpec, ModelSpec, encode};
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
/// Bytes of the header of the decoder's section.
const DECODER_HEADER: usize = 64;
/// Bytes of the header of the front end's section.
const FRONT_END_HEADER: usize = 64;
/// Bytes of the section of the windowing.
const WINDOWING: usize = 8;
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
    pub const VALUES: usize = 8;
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
    pub const VALUES: usize = 2;
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

/// Bytes with the alignment that a [`FlashModel`] needs, for `include_bytes!`:
/// `static MODEL: &Aligned<[u8]> = &Aligned(*include_bytes!("model.cvi"));`
#[repr(C, align(64))]
pub struct Aligned<T: ?Sized>(pub T);
