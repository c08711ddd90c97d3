//! Memory for an image that comes from a file.

use std::path::Path;
use std::vec::Vec;

/// Bytes on the heap that begin where those of an image must.
#[derive(Clone, Debug)]
pub struct Buffer {
    words: Vec<f32>,
    length: usize,
}

impl Buffer {
    /// The content of a file.
    ///
    /// # Errors
    /// What the system says.
    pub fn read(path: impl AsRef<Path>) -> std::io::Result<Self> {
        let mut file = std::fs::File::open(path)?;
        let length = usize::try_from(file.metadata()?.len()).map_err(std::io::Error::other)?;
        let mut buffer = Self { words: vec![0.0f32; length.div_ceil(size_of::<f32>())], length };
        std::io::Read::read_exact(&mut file, &mut buffer)?;
        Ok(buffer)
    }

    /// A copy.
    pub fn copy_of(bytes: &[u8]) -> Self {
        let mut words = vec![0.0f32; bytes.len().div_ceil(size_of::<f32>())];
        bytemuck::cast_slice_mut(&mut words)[..bytes.len()].copy_from_slice(bytes);
        Self { words, length: bytes.len() }
    }
}

impl std::ops::Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.words)[..self.length]
    }
}

impl std::ops::DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut bytemuck::cast_slice_mut(&mut self.words)[..self.length]
    }
}
