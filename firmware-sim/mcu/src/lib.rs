//! What the programs for the different machines have in common: the models, the digits, a stream of samples, and what the
//! host said of them.
#![no_std]

mod marks;
pub mod stream;

use runtime::Assignment;
use runtime::flash::Aligned;

/// What the host's engine says of a frame.
pub struct Expected<const K: usize> {
    /// The cluster.
    pub cluster: usize,
    /// Nats.
    pub novelty: f32,
    /// Whether the novelty is past the threshold.
    pub is_novel: bool,
    /// q(c|x) of every cluster.
    pub responsibilities: [f32; K],
}

include!(concat!(env!("OUT_DIR"), "/expected.rs"));

/// The flash image.
pub static MODEL: &Aligned<[u8]> = &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/model.cvi")));

/// The digits, a byte a pixel.
static DIGITS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/digits.bin"));

/// Most that a responsibility may differ from the host's; a novelty, of its own size or of 1 nat.
const TOLERANCE: f32 = 1e-4;

/// The digits, and what is expected of each.
pub fn digits() -> impl Iterator<Item = (&'static [u8], &'static Expected<CLUSTERS>)> {
    DIGITS.chunks_exact(PIXELS).zip(&EXPECTED)
}

impl<const K: usize> Expected<K> {
    /// Whether an engine says what the host's did.
    pub fn agrees(&self, found: &Assignment) -> bool {
        let close = |a: f32, b: f32| (a - b).abs() <= TOLERANCE;
        found.cluster == self.cluster
            && found.is_novel == self.is_novel
            && found.log_responsibilities.len() == K
            && found.responsibilities().zip(&self.responsibilities).all(|(a, b)| close(a, *b))
            && close(found.novelty / self.novelty.abs().max(1.0), self.novelty / self.novelty.abs().max(1.0))
    }
}
