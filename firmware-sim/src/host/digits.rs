//! The digits that are replayed: the 10,000 of the MNIST test files, which the models in `models/`
//! never saw.

use std::io::Read;

use anyhow::{Context, Result, ensure};
use flate2::read::GzDecoder;
use runtime::flash::{FlashError, FlashModel};

static IMAGES: &[u8] = include_bytes!("../../../trainer/assets/mnist/t10k-images-idx3-ubyte.gz");
static LABELS: &[u8] = include_bytes!("../../../trainer/assets/mnist/t10k-labels-idx1-ubyte.gz");

/// Rows and columns of a digit.
pub const SIDE: usize = 28;
/// Bytes of a digit.
pub const PIXELS: usize = SIDE * SIDE;
/// Number of kinds of digits.
pub const CLASSES: usize = 10;

/// Bytes of the headers of IDX files of images and of labels.
const HEADERS: [usize; 2] = [16, 8];

/// Images of digits, and their labels, which only score.
#[derive(Clone, Debug)]
pub struct Digits {
    images: Vec<u8>,
    labels: Vec<u8>,
}

impl Digits {
    /// The digits that are embedded in the program.
    ///
    /// # Errors
    /// If the files in the program are damaged.
    pub fn embedded() -> Result<Self> {
        let content = |bytes: &[u8], header: usize| -> Result<Vec<u8>> {
            let mut content = Vec::new();
            GzDecoder::new(bytes).read_to_end(&mut content)?;
            Ok(content.split_off(header.min(content.len())))
        };
        let images = content(IMAGES, HEADERS[0]).context("embedded images")?;
        let labels = content(LABELS, HEADERS[1]).context("embedded labels")?;
        ensure!(images.len() == labels.len() * PIXELS, "embedded images and labels do not match");
        Ok(Self { images, labels })
    }

    /// Number of digits.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no digit.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The pixels of a digit, counted from the start again past the end.
    pub fn image(&self, index: usize) -> &[u8] {
        let at = index % self.len() * PIXELS;
        &self.images[at..at + PIXELS]
    }

    /// Label of a digit, 0 to 9, counted from the start again past the end.
    pub fn label(&self, index: usize) -> usize {
        usize::from(self.labels[index % self.len()])
    }
}

/// Reason why bytes are no model for the digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// The bytes are no flash image.
    #[error(transparent)]
    Image(#[from] FlashError),
    /// The model takes frames of another size.
    #[error("the model takes frames of {0} values, the digits have {PIXELS}")]
    Frames(usize),
}

/// The model of a flash image, if it takes the digits.
///
/// # Errors
/// [`ModelError`] if it is none, or takes other frames.
pub fn digits_model(bytes: &[u8]) -> Result<FlashModel<'_>, ModelError> {
    let image = FlashModel::new(bytes)?;
    match image.shape().len() {
        PIXELS => Ok(image),
        values => Err(ModelError::Frames(values)),
    }
}
