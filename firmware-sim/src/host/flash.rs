//! NOR flash in memory, whose power can be cut at any operation.

use core::ops::Range;

use embedded_storage_async::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use runtime::flash::Buffer;

use crate::MappedFlash;

/// Fate of the operation that power is cut at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The operation does not begin.
    Clean,
    /// The operation is left half done.
    ///
    /// Of a write, the first words are there and the next one has some of its bits; of an erasure,
    /// some of a page is erased and the rest has some of its bits erased, anywhere.
    Torn,
    /// As [`Cut::Torn`], and the bits that the operation was changing read as either at every start
    /// that follows, until they are erased.
    Weak,
}

/// Reason why the flash refuses an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlashError {
    /// Power is gone; nothing works until it comes back.
    #[error("power is gone")]
    Power,
    /// A word is written twice without being erased.
    #[error("the word at {0:#x} is not erased")]
    NotErased(u32),
    /// An address past the end, or not at a multiple of what the flash writes or erases.
    #[error("{0:?}")]
    Address(NorFlashErrorKind),
}

impl NorFlashError for FlashError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::Address(kind) => *kind,
            Self::Power | Self::NotErased(_) => NorFlashErrorKind::Other,
        }
    }
}

/// Flash of which words of `WRITE` bytes are written once between erasures of pages of `ERASE`
/// bytes.
#[derive(Clone, Debug)]
pub struct SimFlash<const WRITE: usize, const ERASE: usize> {
    bytes: Buffer,
    /// Words written since they were erased.
    written: Vec<bool>,
    /// Times each page was erased.
    wear: Vec<u32>,
    operations: u64,
    cut: Option<(u64, Cut)>,
    powered: bool,
    /// Bits that read otherwise after every start, for cuts of [`Cut::Weak`]: place and mask of a byte.
    weak: Vec<(usize, u8)>,
    rng: ChaCha8Rng,
}

impl<const WRITE: usize, const ERASE: usize> SimFlash<WRITE, ERASE> {
    /// New flash of so many pages; what a torn operation leaves follows `seed`.
    pub fn new(pages: usize, seed: u64) -> Self {
        Self {
            bytes: Buffer::copy_of(&vec![0xff; pages * ERASE]),
            written: vec![false; pages * ERASE / WRITE],
            wear: vec![0; pages],
            operations: 0,
            cut: None,
            powered: true,
            weak: Vec::new(),
            rng: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    /// Writes and erasures so far.
    pub fn operations(&self) -> u64 {
        self.operations
    }

    /// Times each page was erased.
    pub fn wear(&self) -> &[u32] {
        &self.wear
    }

    /// Cuts power at the write or erasure that comes after `operations` more.
    pub fn cut_after(&mut self, operations: u64, cut: Cut) {
        self.cut = Some((self.operations + operations, cut));
    }

    /// Whether power is gone.
    pub fn is_off(&self) -> bool {
        !self.powered
    }

    /// Power comes back; a cut that has not come is forgotten.
    pub fn power_on(&mut self) {
        self.powered = true;
        self.cut = None;
        for (at, mask) in &self.weak {
            self.bytes[*at] = self.bytes[*at] & !mask | self.rng.random::<u8>() & mask;
        }
    }

    /// Turns a bit over, as radiation and age do.
    pub fn flip(&mut self, bit: usize) {
        if let Some(byte) = self.bytes.get_mut(bit / 8) {
            *byte ^= 1 << (bit % 8);
        }
    }

    /// Refuses what is not inside the flash, or not at multiples of `unit`.
    fn check(&self, offset: u32, length: usize, unit: usize) -> Result<(), FlashError> {
        if (offset as usize).saturating_add(length) > self.bytes.len() {
            return Err(FlashError::Address(NorFlashErrorKind::OutOfBounds));
        }
        if !(offset as usize).is_multiple_of(unit) || !length.is_multiple_of(unit) {
            return Err(FlashError::Address(NorFlashErrorKind::NotAligned));
        }
        Ok(())
    }

    /// Counts an operation; says whether it is the one that power is cut at.
    fn begin(&mut self) -> Result<Option<Cut>, FlashError> {
        if !self.powered {
            return Err(FlashError::Power);
        }
        let cut = self.cut.filter(|(at, _)| *at == self.operations).map(|(_, cut)| cut);
        self.operations += 1;
        self.powered = cut.is_none();
        Ok(cut)
    }

    fn erase_page(&mut self, page: usize) {
        self.bytes[page * ERASE..(page + 1) * ERASE].fill(0xff);
        self.written[page * ERASE / WRITE..(page + 1) * ERASE / WRITE].fill(false);
        self.weak.retain(|(at, _)| at / ERASE != page);
        self.wear[page] += 1;
    }

    fn tear_page(&mut self, page: usize, weak: bool) {
        let mut ends = [0; 2].map(|_| self.rng.random_range(0..=ERASE));
        ends.sort_unstable();
        let (inside, draws) = (self.rng.random::<bool>(), self.rng.random_range(0..8));
        for at in 0..ERASE {
            let erased = if (ends[0]..ends[1]).contains(&at) == inside {
                0xff
            } else {
                (0..draws).fold(0, |bits, _| bits | self.rng.random::<u8>())
            };
            if weak {
                self.weak.push((page * ERASE + at, !self.bytes[page * ERASE + at]));
            }
            self.bytes[page * ERASE + at] |= erased;
        }
        for word in page * ERASE / WRITE..(page + 1) * ERASE / WRITE {
            self.written[word] = !self.reads_erased(word);
        }
    }

    fn reads_erased(&self, word: usize) -> bool {
        self.bytes[word * WRITE..(word + 1) * WRITE].iter().all(|byte| *byte == 0xff)
    }
}

impl<const WRITE: usize, const ERASE: usize> ErrorType for SimFlash<WRITE, ERASE> {
    type Error = FlashError;
}

impl<const WRITE: usize, const ERASE: usize> ReadNorFlash for SimFlash<WRITE, ERASE> {
    const READ_SIZE: usize = 1;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        if !self.powered {
            return Err(FlashError::Power);
        }
        self.check(offset, bytes.len(), 1)?;
        bytes.copy_from_slice(&self.bytes[offset as usize..offset as usize + bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

impl<const WRITE: usize, const ERASE: usize> NorFlash for SimFlash<WRITE, ERASE> {
    const WRITE_SIZE: usize = WRITE;
    const ERASE_SIZE: usize = ERASE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        self.check(from, to.saturating_sub(from) as usize, ERASE)?;
        for page in from as usize / ERASE..to as usize / ERASE {
            match self.begin()? {
                None => self.erase_page(page),
                Some(cut) => {
                    if cut != Cut::Clean {
                        self.tear_page(page, cut == Cut::Weak);
                    }
                    return Err(FlashError::Power);
                }
            }
        }
        Ok(())
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        self.check(offset, bytes.len(), WRITE)?;
        let first = offset as usize / WRITE;
        let words = first..first + bytes.len() / WRITE;
        if let Some(at) = self.written[words].iter().position(|written| *written) {
            return Err(FlashError::NotErased((offset as usize + at * WRITE) as u32));
        }
        let cut = self.begin()?;
        let whole = match cut {
            None => bytes.len() / WRITE,
            Some(Cut::Clean) => return Err(FlashError::Power),
            Some(Cut::Torn | Cut::Weak) => self.rng.random_range(0..bytes.len() / WRITE),
        };
        for (index, word) in bytes.chunks_exact(WRITE).enumerate().take(whole + usize::from(cut.is_some())) {
            let at = offset as usize + index * WRITE;
            for (slot, byte) in self.bytes[at..at + WRITE].iter_mut().zip(word) {
                // Bits only fall; of a torn word, some do.
                let spared = if index < whole { 0 } else { self.rng.random::<u8>() };
                *slot &= byte | spared;
            }
            if cut == Some(Cut::Weak) && index >= whole {
                // Of the word that was being written, the bits that should fall.
                self.weak.extend(word.iter().enumerate().map(|(byte, bits)| (at + byte, !bits)));
            }
            // Nobody can tell a torn word that reads as erased from one that is.
            self.written[at / WRITE] = index < whole || !self.reads_erased(at / WRITE);
        }
        if cut.is_some() { Err(FlashError::Power) } else { Ok(()) }
    }
}

impl<const WRITE: usize, const ERASE: usize> MappedFlash for SimFlash<WRITE, ERASE> {
    fn mapped(&self, range: Range<u32>) -> Option<&[u8]> {
        self.bytes.get(range.start as usize..range.end as usize)
    }
}
