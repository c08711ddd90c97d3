//! The handwritten digits inside the program: the 10,000 images of the MNIST test files.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::{Raw, ReadError, Role, idx};
use crate::data::meaning::{Expected, Said};
use crate::data::{DataSet, Frames, Missing, Source};
use crate::error::Result;

static IMAGES: &[u8] = include_bytes!("../../../assets/mnist/t10k-images-idx3-ubyte.gz");
static LABELS: &[u8] = include_bytes!("../../../assets/mnist/t10k-labels-idx1-ubyte.gz");

/// Number of digits to fit on; the remaining 2,000 are held out.
pub const FIT: usize = 8_000;

/// Seed of the split, which is a property of the data set and does not follow the training seed.
const SPLIT_SEED: u64 = 0;

/// The 8,000 digits to fit on or the 2,000 held out, split by a shuffle that sees no label.
pub fn set(role: Role) -> Result<DataSet> {
    let mut set = read()?;
    let mut order: Vec<usize> = (0..set.frames.len()).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(SPLIT_SEED));
    set.frames = set.frames.select(match role {
        Role::Fit => &order[..FIT],
        Role::Score => &order[FIT..],
    });
    set.taken.count = set.frames.len();
    Ok(set)
}

/// The frames of [`set`].
pub fn embedded(role: Role) -> Result<Frames> {
    set(role)?.frames.all()
}

/// All 10,000 digits in the order of the file.
pub fn all() -> Result<Frames> {
    read()?.frames.all()
}

fn read() -> Result<DataSet> {
    let fault = |problem| ReadError::new("embedded digits", problem);
    let mut raw = Raw::new("the digits in the program", idx::parse(IMAGES).map_err(fault)?);
    raw.pixels = true;
    raw.labels = Some(("their labels".to_owned(), idx::labels(LABELS).map_err(fault)?));
    Ok(DataSet::of::<f32>(raw, Said::default(), Missing::Error, &Expected::default()).map_err(fault)?)
}
