//! The handwritten digits inside the program: the 10,000 images of the MNIST test files.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::{ReadError, Role, idx};
use crate::data::Frames;

static IMAGES: &[u8] = include_bytes!("../../../assets/mnist/t10k-images-idx3-ubyte.gz");
static LABELS: &[u8] = include_bytes!("../../../assets/mnist/t10k-labels-idx1-ubyte.gz");

/// Number of digits to fit on; the remaining 2,000 are held out.
pub const FIT: usize = 8_000;

/// Seed of the split, which is a property of the data set and does not follow the training seed.
const SPLIT_SEED: u64 = 0;

/// The 8,000 digits to fit on or the 2,000 held out, split by a shuffle that sees no label.
pub fn embedded(role: Role) -> Result<Frames, ReadError> {
    let all = all()?;
    let mut order: Vec<usize> = (0..all.len()).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(SPLIT_SEED));
    Ok(match role {
        Role::Fit => all.select(&order[..FIT]),
        Role::Score => all.select(&order[FIT..]),
    })
}

/// All 10,000 digits in the order of the file.
pub fn all() -> Result<Frames, ReadError> {
    let fault = |problem| ReadError::new("embedded digits", problem);
    let mut frames = idx::frames::<f32>(IMAGES).map_err(fault)?;
    frames.labels = Some(idx::labels(LABELS).map_err(fault)?);
    Ok(frames)
}
