//! Memory for a flash image that comes from a file.

use std::path::Path;
use std::vec::Vec;

use memmap2::MmapMut;

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
    fn new(length: usize) -> Self {
        let huge = (length >= HUGE).then(|| Self::huge(length)).flatten();
        huge.unwrap_or_else(|| Self::Heap(vec![0.0; length.div_ceil(size_of::<f32>())]))
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
    /// Reads a file.
    ///
    /// # Errors
    /// [`std::io::Error`], as the system gives it.
    pub fn read(path: impl AsRef<Path>) -> std::io::Result<Self> {
        let mut file = std::fs::File::open(path)?;
        let length = usize::try_from(file.metadata()?.len()).map_err(std::io::Error::other)?;
        let mut buffer = Self { memory: Memory::new(length), length };
        std::io::Read::read_exact(&mut file, &mut buffer)?;
        Ok(buffer)
    }

    /// Copies bytes.
    pub fn copy_of(bytes: &[u8]) -> Self {
        let mut buffer = Self { memory: Memory::new(bytes.len()), length: bytes.len() };
        buffer.copy_from_slice(bytes);
        buffer
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
