//! Why bytes are no flash image.

/// Why bytes are no flash image that this crate reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlashError {
    /// Fewer bytes than a header, or than the header says.
    #[error("{found} bytes, expected at least {expected}: the image is cut off")]
    Short {
        /// Bytes that a whole image would have.
        expected: usize,
        /// Bytes given.
        found: usize,
    },
    /// The first bytes are not those of an image.
    #[error("not a flash image: it does not begin with CVIM")]
    Magic,
    /// Written by another version of the format.
    #[error(
        "version {found}, this program reads {expected}: export the model anew, or update this program",
        expected = super::VERSION
    )]
    Version {
        /// The version of the image.
        found: u32,
    },
    /// More bytes than the header says.
    #[error("{found} bytes, but the header says {stated}")]
    Length {
        /// Bytes by the header.
        stated: usize,
        /// Bytes given.
        found: usize,
    },
    /// The bytes do not begin where f32 values may.
    #[error("the image does not begin at a multiple of 4 bytes in memory; see runtime::flash::Aligned")]
    Misaligned,
    /// A checksum does not hold.
    #[error("the image is damaged: the checksum of {0} does not hold")]
    Damaged(Part),
    /// A checksum holds, but what it protects makes no sense.
    #[error("the image is not consistent: {0}")]
    Inconsistent(&'static str),
    /// A number is NaN or infinite.
    #[error("a number in {0} is not finite")]
    NotFinite(Part),
}

/// A part of a flash image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Header and section table.
    Header,
    /// A section, by its place in the table.
    Section(usize),
}

impl core::fmt::Display for Part {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Header => f.write_str("the header"),
            Self::Section(index) => write!(f, "section {index}"),
        }
    }
}
