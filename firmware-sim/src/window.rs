//! From a stream of samples to frames.

use runtime::FrameError;

/// The last samples of a stream, as a frame every so many samples.
///
/// A sample has a value of each of C channels. The last W = `LEN` / C of them make a frame
/// `[C,1,W]`, channels first; the next frame is due H samples, the hop, later: H = W gives windows
/// side by side, a smaller H windows that overlap, a larger one leaves samples out.
#[derive(Clone, Debug)]
pub struct Window<T, const LEN: usize> {
    values: [T; LEN],
    channels: usize,
    hop: usize,
    /// Samples in the window.
    filled: usize,
    /// Samples to leave out before the next.
    skip: usize,
}

/// Why there is no such window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    /// The values of a frame are no whole number of samples.
    #[error("a frame of {values} values is no whole number of samples of {channels} channels")]
    Channels {
        /// Values of a frame.
        values: usize,
        /// Number of channels asked for.
        channels: usize,
    },
    /// The hop is 0.
    #[error("a hop is at least one sample")]
    Hop,
}

impl<T: Copy + Default, const LEN: usize> Window<T, LEN> {
    /// An empty window of samples of `channels` values that moves by `hop` samples.
    ///
    /// # Errors
    /// [`WindowError`] if `LEN` is no whole number of samples, or the hop is 0.
    pub fn new(channels: usize, hop: usize) -> Result<Self, WindowError> {
        if channels == 0 || LEN == 0 || !LEN.is_multiple_of(channels) {
            return Err(WindowError::Channels { values: LEN, channels });
        }
        if hop == 0 {
            return Err(WindowError::Hop);
        }
        Ok(Self { values: [T::default(); LEN], channels, hop, filled: 0, skip: 0 })
    }

    /// Takes a sample `[C]`, and gives the frame that it completes.
    ///
    /// # Errors
    /// [`FrameError::Length`] if the sample has not C values; the window is then as before.
    pub fn push(&mut self, sample: &[T]) -> Result<Option<&[T; LEN]>, FrameError> {
        if sample.len() != self.channels {
            return Err(FrameError::Length { expected: self.channels, found: sample.len() });
        }
        let width = LEN / self.channels;
        if self.filled == width {
            self.advance(width);
        }
        if self.skip > 0 {
            self.skip -= 1;
            return Ok(None);
        }
        for (row, value) in self.values.chunks_exact_mut(width).zip(sample) {
            row.get_mut(self.filled).into_iter().for_each(|slot| *slot = *value);
        }
        self.filled += 1;
        Ok((self.filled == width).then_some(&self.values))
    }

    /// Moves a full window on by a hop.
    fn advance(&mut self, width: usize) {
        let hop = self.hop.min(width);
        for row in self.values.chunks_exact_mut(width) {
            row.copy_within(hop.., 0);
        }
        self.filled = width - hop;
        self.skip = self.hop - hop;
    }

    /// Forgets all samples: to be called where some are missing, since a window over a gap is no
    /// window.
    pub fn restart(&mut self) {
        self.filled = 0;
        self.skip = 0;
    }
}
