//! From a stream of samples to windows.

use runtime::{FrameError, FrameShape, Windowing};

/// The last samples of a stream, a window `[C,1,T]` of them every hop.
///
/// The samples lie as the sensor gives them, f32 or integers, in a ring of memory from the caller. The first window is whole
/// after T samples, each other one a hop later: a hop below T gives windows that overlap, one above leaves samples out. A
/// gap in the stream empties the ring, so that no window lies across it.
///
/// ```
/// use firmware_sim::Window;
/// use runtime::{FrameShape, Windowing};
///
/// // Two channels, windows of three samples, the next one a sample later; a model says that of itself.
/// let shape = FrameShape { channels: 2, height: 1, width: 3 };
/// let windowing = Windowing::new(shape, 1, Some(100.0)).ok_or("no windowing")?;
/// let mut ring = [0i16; 6];
/// // A count of this sensor is half a unit; its samples are stamped in microseconds.
/// let mut window = Window::new(shape, windowing, &mut ring)?.with_scale(&[0.5, 0.5])?.with_clock(1e6)?;
/// assert!(window.push(0, &[2, 20])?.is_none());
/// assert!(window.push(10_000, &[4, 40])?.is_none());
/// let values: Option<Vec<f32>> = window.push(20_000, &[6, 60])?.map(Iterator::collect);
/// assert_eq!(values.as_deref(), Some(&[1.0, 2.0, 3.0, 10.0, 20.0, 30.0][..]));
/// // The sample of 30 ms has not come.
/// assert!(window.push(40_000, &[8, 80])?.is_none());
/// assert_eq!(window.gaps(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Window<'m, T> {
    /// A ring a channel `[C,T]`.
    ring: &'m mut [T],
    channels: usize,
    length: usize,
    windowing: Windowing,
    /// What a sample is multiplied by `[C]`; empty for samples in the units of the training data.
    scale: &'m [f32],
    /// Column that the next sample goes to.
    next: usize,
    /// Samples that are to come until a window is whole.
    missing: usize,
    /// Most ticks from a sample to the next; 0 if time stamps say nothing.
    longest: u64,
    /// Time of the last sample.
    last: Option<u64>,
    gaps: u32,
}

/// Why there is no such window.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum WindowError {
    /// The memory does not hold a window.
    #[error("the memory holds {found} values, a window has {needed}")]
    Memory {
        /// Values of a window.
        needed: usize,
        /// Values that there is room for.
        found: usize,
    },
    /// The scales are not one a channel.
    #[error("{found} scales, expected one for each of {channels} channels")]
    Scale {
        /// Channels of a sample.
        channels: usize,
        /// Scales given.
        found: usize,
    },
    /// A clock cannot tell a sample that is missing.
    #[error("the model does not say how many samples come a second, or the clock has less than two ticks a sample")]
    Clock,
}

impl<'m, T: Copy + Into<f32>> Window<'m, T> {
    /// An empty window in `memory`, of a model's frames and of how it says that they are cut.
    ///
    /// # Errors
    /// [`WindowError::Memory`] if `memory` has fewer than C·T values.
    pub fn new(shape: FrameShape, windowing: Windowing, memory: &'m mut [T]) -> Result<Self, WindowError> {
        let (needed, found) = (shape.len(), memory.len());
        let ring = memory.get_mut(..needed).ok_or(WindowError::Memory { needed, found })?;
        let (channels, length) = (shape.channels, shape.width);
        Ok(Self {
            ring,
            channels,
            length,
            windowing,
            scale: &[],
            next: 0,
            missing: length,
            longest: 0,
            last: None,
            gaps: 0,
        })
    }

    /// Takes samples for counts of a sensor: what one is worth of each channel, in the units of the training data.
    ///
    /// # Errors
    /// [`WindowError::Scale`] unless there are C scales.
    pub fn with_scale(self, scale: &'m [f32]) -> Result<Self, WindowError> {
        let (channels, found) = (self.channels, scale.len());
        if found == channels { Ok(Self { scale, ..self }) } else { Err(WindowError::Scale { channels, found }) }
    }

    /// Finds gaps by time stamps, of a clock of so many ticks a second: a sample is missing where the next one comes more
    /// than one and a half periods after the one before, and where time stands still or goes back.
    ///
    /// # Errors
    /// [`WindowError::Clock`] if the rate of the samples is not known, or is more than half of the clock's.
    pub fn with_clock(self, ticks: f32) -> Result<Self, WindowError> {
        let period = self.windowing.rate().map(|rate| ticks / rate).filter(|period| *period >= 2.0);
        let period = period.ok_or(WindowError::Clock)?;
        Ok(Self { longest: (1.5 * period) as u64, ..self })
    }

    /// Takes a sample `[C]` of time `at`, and gives the values `[C,T]` of the window that it makes whole, channels first, in
    /// the units of the training data.
    ///
    /// # Errors
    /// [`FrameError::Length`] if the sample has not C values; the window is then as before.
    pub fn push(
        &mut self,
        at: u64,
        sample: &[T],
    ) -> Result<Option<impl Iterator<Item = f32> + Clone + use<'_, 'm, T>>, FrameError> {
        let (expected, found) = (self.channels, sample.len());
        if found != expected {
            return Err(FrameError::Length { expected, found });
        }
        let before = self.last.replace(at);
        let follows = |before: u64| at > before && at - before <= self.longest;
        if self.longest > 0 && before.is_some_and(|before| !follows(before)) {
            self.restart();
            self.last = Some(at);
        }
        for (row, value) in sample.iter().enumerate() {
            if let Some(slot) = self.ring.get_mut(row * self.length + self.next) {
                *slot = *value;
            }
        }
        self.next = if self.next + 1 < self.length { self.next + 1 } else { 0 };
        self.missing = self.missing.saturating_sub(1);
        if self.missing > 0 {
            return Ok(None);
        }
        self.missing = self.windowing.hop();
        Ok(Some(self.values()))
    }

    /// The samples in the ring, the oldest first, one channel after another.
    fn values(&self) -> impl Iterator<Item = f32> + Clone + use<'_, 'm, T> {
        (0..self.channels).flat_map(|channel| {
            let row = self.ring.get(channel * self.length..).and_then(|rows| rows.get(..self.length));
            let (newer, older) = row.and_then(|row| row.split_at_checked(self.next)).unwrap_or_default();
            let scale = self.scale.get(channel).copied().unwrap_or(1.0);
            older.iter().chain(newer).map(move |value| scale * (*value).into())
        })
    }

    /// Forgets all samples: to be called where some are missing, unless time stamps tell it.
    pub fn restart(&mut self) {
        self.missing = self.length;
        self.last = None;
        self.gaps = self.gaps.saturating_add(1);
    }

    /// Times that the window began anew.
    pub fn gaps(&self) -> u32 {
        self.gaps
    }
}
