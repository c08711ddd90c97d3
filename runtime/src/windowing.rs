//! How windows are cut out of a stream.

use crate::FrameShape;

/// How frames `[C,1,T]` are cut out of a stream of samples, each with a value of every channel: T samples make a window, and
/// the next one begins a hop later.
///
/// ```
/// use runtime::{FrameShape, Windowing};
///
/// let shape = FrameShape { channels: 3, height: 1, width: 100 };
/// let windowing = Windowing::new(shape, 50, Some(25.0)).ok_or("no windowing")?;
/// assert_eq!((windowing.hop(), windowing.rate()), (50, Some(25.0)));
/// assert!(Windowing::new(shape, 0, None).is_none());
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Windowing {
    hop: u32,
    /// 0 if it is not known.
    rate: f32,
}

impl Windowing {
    /// Windows of `hop` samples from the begin of one to that of the next; `rate` is how many samples come a second, None
    /// where nobody said. None unless frames are `[C,1,T]`, the hop is at least 1, and the rate a finite number above 0.
    pub fn new(shape: FrameShape, hop: usize, rate: Option<f32>) -> Option<Self> {
        let known = rate.is_none_or(|rate| rate > 0.0);
        Self::of_stored(shape, u32::try_from(hop).ok()?, rate.unwrap_or_default()).filter(|_| known)
    }

    /// The same of the numbers of a flash image, in which a rate of 0 is one that is not known.
    pub(crate) fn of_stored(shape: FrameShape, hop: u32, rate: f32) -> Option<Self> {
        // A rate of -0 would be a second way to write that it is not known.
        let counts = rate.is_finite() && (rate > 0.0 || rate.to_bits() == 0);
        (shape.height == 1 && !shape.is_empty() && hop > 0 && counts).then_some(Self { hop, rate })
    }

    /// Samples from the begin of a window to that of the next; more than T leave samples out.
    pub fn hop(&self) -> usize {
        self.hop as usize
    }

    /// Samples a second, if that is known.
    pub fn rate(&self) -> Option<f32> {
        (self.rate > 0.0).then_some(self.rate)
    }
}
