//! Memory for a flash image that comes from a file.

use std::collections::TryReserveError;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::vec::Vec;

use memmap2::MmapMut;

use super::{FlashModel, HEADER};

/// Bytes of a flash image in memory that begins where they must, at a multiple of 4 bytes.
#[derive(Debug)]
pub struct Buffer {
    memory: Memory,
    length: usize,
}

#[derive(Debug)]
enum Memory {
    Heap(Vec<f32>),
    /// For a file that fills a huge page: a mapping, and the place in it, a multiple of [`HUGE`], where the bytes begin. What a fresh
    /// page costs is most of the time that reading takes, and these are 512 times fewer.
    Huge(MmapMut, usize),
}

/// Bytes of a huge page of x86-64, and of AArch64 with pages of 4 KiB.
const HUGE: usize = 2 << 20;

impl Memory {
    /// Memory of zeros, in huge pages if that is worth it and to be had.
    fn new(length: usize) -> Result<Self, TryReserveError> {
        if let Some(huge) = (length >= HUGE).then(|| Self::huge(length)).flatten() {
            return Ok(huge);
        }
        let (mut words, count) = (Vec::new(), length.div_ceil(size_of::<f32>()));
        words.try_reserve_exact(count)?;
        words.resize(count, 0.0);
        Ok(Self::Heap(words))
    }

    #[cfg(target_os = "linux")]
    fn huge(length: usize) -> Option<Self> {
        // Whole huge pages wherever the memory begins; what is never touched is never there.
        let memory = MmapMut::map_anon(length.checked_next_multiple_of(HUGE)?.checked_add(HUGE)?).ok()?;
        memory.advise(memmap2::Advice::HugePage).ok()?;
        let start = memory.as_ptr().align_offset(HUGE);
        (start <= HUGE).then_some(Self::Huge(memory, start))
    }

    #[cfg(not(target_os = "linux"))]
    fn huge(_: usize) -> Option<Self> {
        None
    }
}

impl Buffer {
    /// Reads a file, whatever length the system says that it has: a device or a pipe says 0.
    ///
    /// Of a file that does not begin as an image, or is longer than the image that it begins as, only so much is read that
    /// [`super::FlashModel::new`] can say so.
    ///
    /// # Errors
    /// [`std::io::Error`], as the system gives it, memory that is not to be had included.
    pub fn read(path: impl AsRef<Path>) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let mut begin = Vec::new();
        file.by_ref().take(HEADER as u64).read_to_end(&mut begin)?;
        let most = FlashModel::stated_length(&begin).map_or(HEADER, |stated| stated.saturating_add(1));
        // In one piece if the length is as it is said to be.
        let said = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX).min(most).max(begin.len());
        let mut buffer = Self { memory: Memory::new(said)?, length: said };
        buffer[..begin.len()].copy_from_slice(&begin);
        let mut filled = begin.len();
        while filled < said {
            match file.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(more) => filled += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        buffer.length = filled;
        let mut rest = Vec::new();
        file.take((most - filled.min(most)) as u64).read_to_end(&mut rest)?;
        if rest.is_empty() { Ok(buffer) } else { Self::joined([&buffer, &rest]) }
    }

    /// Copies bytes.
    ///
    /// Ends the program if memory for them is not to be had, as `Vec` does.
    pub fn copy_of(bytes: &[u8]) -> Self {
        match Self::joined([bytes, &[]]) {
            Ok(buffer) => buffer,
            Err(_) => std::alloc::handle_alloc_error(std::alloc::Layout::for_value(bytes)),
        }
    }

    /// Both parts, one after the other.
    fn joined(parts: [&[u8]; 2]) -> io::Result<Self> {
        let [first, second] = parts;
        let length = first.len() + second.len();
        let mut buffer = Self { memory: Memory::new(length)?, length };
        buffer[..first.len()].copy_from_slice(first);
        buffer[first.len()..].copy_from_slice(second);
        Ok(buffer)
    }
}

impl Clone for Buffer {
    fn clone(&self) -> Self {
        Self::copy_of(self)
    }
}

impl std::ops::Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.memory {
            Memory::Heap(words) => &bytemuck::cast_slice(words)[..self.length],
            Memory::Huge(memory, start) => &memory[*start..][..self.length],
        }
    }
}

impl std::ops::DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        match &mut self.memory {
            Memory::Heap(words) => &mut bytemuck::cast_slice_mut(words)[..self.length],
            Memory::Huge(memory, start) => &mut memory[*start..][..self.length],
        }
    }
}
