//! The range of values that a model was fitted to, and whether a frame lies in it.
//!
//! Novelty does not tell a frame in other units: an encoder puts values of 0 to 255 somewhere, be it the middle of a
//! cluster, where it was fitted to values of 0 to 1. The values themselves tell.

/// A width of this share of the largest value, or less, is rounding.
const ROUNDING: f32 = 1e-6;

/// The least and the largest value that training saw, for every channel of pictures and of windows, and for every
/// column of rows; in the units of the training data, before they are scaled.
///
/// New frames of the same source pass the extremes of the old ones now and then, by little. So a value counts as
/// **outside** only where it lies a whole width of the range past an end of it, or farther. That is what the smallest
/// change of units in use does, values of -1 to 1 in place of 0 to 1; of two halves of one table no more than a few
/// frames in a thousand do. A channel that was constant has no width: there any other value is outside.
///
/// ```
/// use runtime::ValueRange;
///
/// // Two columns, of 5 to 12 and of -1 to 1 in training.
/// let (least, most) = ([5.0, -1.0], [12.0, 1.0]);
/// let range = ValueRange::new(&least, &most, 2).ok_or("no range")?;
/// assert!(range.holds(&[18.9, -2.9]));
/// let found = range.first_outside(&[25.3, 0.0]).ok_or("it lies inside")?;
/// assert_eq!((found.index, found.value, found.least, found.most), (0, 25.3, 5.0, 12.0));
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ValueRange<'a> {
    least: &'a [f32],
    most: &'a [f32],
    /// Values of a frame that share a range, one after the other; at least 1.
    values: usize,
}

/// A value of a frame that lies outside the range seen in training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outside {
    /// The index of the value in the frame.
    pub index: usize,
    /// The value.
    pub value: f32,
    /// The least value that training saw of its channel or column.
    pub least: f32,
    /// The largest.
    pub most: f32,
}

impl<'a> ValueRange<'a> {
    /// The range of frames of `length` values, of which every G-th part, one after the other, shares a least and a
    /// largest value; None unless they are finite, in order, and G divides the length.
    ///
    /// # Shapes
    /// - `least`, `most`: `[G]`
    pub fn new(least: &'a [f32], most: &'a [f32], length: usize) -> Option<Self> {
        let finite = least.iter().chain(most).all(|value| value.is_finite());
        if finite { Self::of_finite(least, most, length) } else { None }
    }

    /// [`ValueRange::new`] of values that are known to be finite.
    pub(crate) fn of_finite(least: &'a [f32], most: &'a [f32], length: usize) -> Option<Self> {
        let values = length.checked_div(least.len())?;
        let whole = values > 0 && values * least.len() == length && most.len() == least.len();
        let ordered = least.iter().zip(most).all(|(least, most)| least <= most);
        (whole && ordered).then_some(Self { least, most, values })
    }

    /// The least value that training saw `[G]`, of every channel or column.
    pub fn least(&self) -> &'a [f32] {
        self.least
    }

    /// The largest value that training saw `[G]`, of every channel or column.
    pub fn most(&self) -> &'a [f32] {
        self.most
    }

    /// Values of a frame that share a range: those of a channel, or 1.
    pub fn values_each(&self) -> usize {
        self.values
    }

    /// Whether no value of a frame lies outside; a NaN does. Of a frame of another length it looks at what there is.
    pub fn holds(&self, frame: &[f32]) -> bool {
        // Both loops look at every value, which a compiler makes vectors of; a microcontroller has none.
        #[cfg(feature = "std")]
        if self.values == 1 {
            let ends = self.least.iter().zip(self.most);
            return frame.iter().zip(ends).fold(true, |holds, (value, ends)| holds & inside(*value, limits(ends)));
        }
        self.channels(frame)
            .all(|(channel, limits)| channel.iter().fold(true, |holds, value| holds & inside(*value, limits)))
    }

    /// [`ValueRange::holds`] for values that come one after another.
    pub fn holds_values(&self, mut frame: impl Iterator<Item = f32>) -> bool {
        self.least.iter().zip(self.most).all(|ends| {
            let limits = limits(ends);
            frame.by_ref().take(self.values).all(|value| inside(value, limits))
        })
    }

    /// [`ValueRange::holds`] for bytes, each divided by 255.
    pub fn holds_bytes(&self, frame: &[u8]) -> bool {
        self.channels(frame).all(|(channel, limits)| {
            // Most models that take bytes were fitted to bytes, and hold them all.
            (inside(0.0, limits) && inside(1.0, limits))
                || channel.iter().all(|byte| inside(f32::from(*byte) / 255.0, limits))
        })
    }

    /// The parts of a frame that share a range, each with its limits.
    fn channels<'f, T>(&self, frame: &'f [T]) -> impl Iterator<Item = (&'f [T], [f32; 2])> + use<'a, 'f, T> {
        // By split and not by chunks, whose division by their length a compiler takes for one that may panic.
        let (values, mut rest) = (self.values, frame);
        self.least.iter().zip(self.most).map_while(move |ends| {
            let (channel, next) = rest.split_at_checked(values)?;
            rest = next;
            Some((channel, limits(ends)))
        })
    }

    /// The first value of a frame that lies outside; None if [`ValueRange::holds`].
    pub fn first_outside(&self, frame: &[f32]) -> Option<Outside> {
        let ends = self.least.iter().zip(self.most).flat_map(|ends| core::iter::repeat_n(ends, self.values));
        let mut values = frame.iter().zip(ends).enumerate();
        let (index, (value, (least, most))) = values.find(|(_, (value, ends))| !inside(**value, limits(*ends)))?;
        Some(Outside { index, value: *value, least: *least, most: *most })
    }
}

/// What lies a whole width past either end, of which it is all that counts as inside.
#[cfg_attr(feature = "std", inline(always))]
#[cfg_attr(not(feature = "std"), inline(never))]
fn limits((least, most): (&f32, &f32)) -> [f32; 2] {
    // A width past what f32 holds is infinite, and so are then the limits.
    let width = most - least;
    let rounding = ROUNDING * most.abs() + f32::MIN_POSITIVE;
    let width = if width > rounding { width } else { rounding };
    [least - width, most + width]
}

#[inline(always)]
fn inside(value: f32, [low, high]: [f32; 2]) -> bool {
    // Not a short-circuit: what always computes both becomes a vector's.
    (low < value) & (value < high)
}
