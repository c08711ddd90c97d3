//! The meaning of the axes of an array, a letter an axis.

use std::fmt;
use std::str::FromStr;

use crate::frame::{FrameKind, FrameShape};

/// The axes of an array in its order: `n` frames, `c` channels, `h` rows and `w` columns of pictures, `t` samples in
/// time, `f` features.
///
/// Frames are pictures (`nhw`, `nchw`, `nhwc`), windows (`nt`, `nct`, `ntc`) or rows (`n`, `nf`), the letters in any order.
/// With sizes, as `nhw:28x28`, they are those of the axes after `n`, and each row of numbers is such a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    letters: String,
    /// Sizes of the axes after the first; none where the array has axes of its own.
    sizes: Vec<usize>,
}

impl FromStr for Layout {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.to_ascii_lowercase();
        let (letters, sizes) = text.split_once(':').map_or((&*text, None), |(letters, sizes)| (letters, Some(sizes)));
        let mut sorted: Vec<char> = letters.chars().collect();
        sorted.sort_unstable();
        let sorted: String = sorted.into_iter().collect();
        if !matches!(sorted.as_str(), "n" | "fn" | "nt" | "cnt" | "hnw" | "chnw") {
            return Err(
                "expected nf, nt, nct, ntc, nhw, nchw, nhwc, or their letters in another order: n frames, c channels, \
                 h rows, w columns, t samples in time, f features; with sizes, as nhw:28x28, for rows of numbers"
                    .into(),
            );
        }
        let size = |text: &str| text.parse().ok().filter(|size| *size > 0);
        let sizes: Option<Vec<usize>> = sizes.map_or(Some(Vec::new()), |sizes| sizes.split('x').map(size).collect());
        match sizes {
            Some(sizes) if sizes.is_empty() => Ok(Self { letters: letters.to_owned(), sizes }),
            Some(sizes) if letters.starts_with('n') && sizes.len() + 1 == letters.len() => {
                Ok(Self { letters: letters.to_owned(), sizes })
            }
            _ => Err("expected a size for every letter after n, as nhw:28x28 or nchw:3x32x32".into()),
        }
    }
}

impl Layout {
    /// True if an array holds one frame after the other, so that those of another may follow.
    pub fn is_by_frame(&self) -> bool {
        self.letters.starts_with('n')
    }

    /// The meaning of these letters.
    fn of(letters: &str) -> Self {
        Self { letters: letters.to_owned(), sizes: Vec::new() }
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.letters)?;
        let sizes: Vec<String> = self.sizes.iter().map(usize::to_string).collect();
        if sizes.is_empty() { Ok(()) } else { write!(f, ":{}", sizes.join("x")) }
    }
}

/// How an array is read: the frames that come out, and the way to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The meaning of the axes.
    pub layout: Layout,
    /// What a frame is then.
    pub kind: FrameKind,
    /// Shape of a frame then.
    pub shape: FrameShape,
    /// Axes of the array in the order frames, channels, rows, columns; axes of size 1 that mean nothing come last.
    pub order: Vec<usize>,
    /// Sizes of the array that is read so: its own, or for rows of numbers those of the layout.
    pub sizes: Vec<usize>,
}

impl Reading {
    /// Reads an array of these sizes by `layout`; axes of size 1 beyond its letters mean nothing.
    ///
    /// With `nf`, all axes after the first are features.
    pub fn of(layout: &Layout, sizes: &[usize]) -> Result<Self, String> {
        let letters: Vec<char> = layout.letters.chars().collect();
        let values = |sizes: &[usize]| sizes.iter().product::<usize>();
        let flat = |sizes: &[usize]| sizes.iter().filter(|size| **size != 1).count() <= 1;
        let rows = [sizes.first().copied().into_iter().collect::<Vec<_>>(), layout.sizes.clone()].concat();
        let sizes = match (&layout.sizes[..], sizes) {
            ([], _) => sizes,
            (frame, [_, own @ ..]) if flat(own) && values(own) == values(frame) => &rows,
            _ => return Err(format!("shape {sizes:?} has no rows of the sizes of --layout {layout}")),
        };
        if layout.letters == "nf" && sizes.len() > 1 {
            let shape = FrameShape { channels: 1, height: 1, width: sizes[1..].iter().product() };
            let order = (0..sizes.len()).collect();
            let (layout, sizes) = (layout.clone(), sizes.to_vec());
            return Ok(Self { layout, kind: FrameKind::Features, shape, order, sizes });
        }
        let surplus = sizes.len().checked_sub(letters.len());
        let axes = surplus
            .and_then(|surplus| without_units(sizes, surplus))
            .ok_or_else(|| format!("shape {sizes:?} has not the {} axes of --layout {layout}", letters.len()))?;
        let axis = |letter: char| letters.iter().position(|l| *l == letter).map(|at| axes[at]);
        let size = |letter: char| axis(letter).map_or(1, |axis| sizes[axis]);
        let has = |letter: char| letters.contains(&letter);
        let (kind, inner) = match () {
            () if has('h') => (FrameKind::Image, vec!['c', 'h', 'w']),
            () if has('t') => (FrameKind::Window, vec!['c', 't']),
            () => (FrameKind::Features, vec!['f']),
        };
        // Of these three a layout has one at most.
        let width = size('w') * size('t') * size('f');
        let shape = FrameShape { channels: size('c'), height: size('h'), width };
        let mut order: Vec<usize> = std::iter::once('n').chain(inner).filter_map(axis).collect();
        order.extend((0..sizes.len()).filter(|axis| !axes.contains(axis)));
        Ok(Self { layout: layout.clone(), kind, shape, order, sizes: sizes.to_vec() })
    }

    /// All that an array of these sizes may mean to who knows nothing else of it, but that its values are `pixels`: of a
    /// type or range that pictures have.
    ///
    /// More than one is a question for the user.
    pub fn guesses(sizes: &[usize], pixels: bool) -> Vec<Self> {
        let letters = match sizes {
            [_] => vec!["n"],
            [_, _] => vec!["nf"],
            [_, frame @ ..] => {
                let long: Vec<usize> = frame.iter().copied().filter(|&size| size != 1).collect();
                match (long[..].len(), frame) {
                    (0, _) => vec!["nf"],
                    // [N,F,1,1] is what pooling leaves of a network's features.
                    (1, [_, 1, 1]) => vec!["nf"],
                    (1, _) => vec!["nt", "nf"],
                    (2, [c, 1, w]) if c <= w => vec!["nct"],
                    (2, _) => of_two(long[0], long[1], pixels),
                    (3, _) => of_three(long[0], long[1], long[2]),
                    _ => Vec::new(),
                }
            }
            [] => Vec::new(),
        };
        letters.into_iter().filter_map(|letters| Self::of(&Layout::of(letters), sizes).ok()).collect()
    }

    /// The reading in words, with the option that asks for it.
    pub fn offer(&self) -> String {
        format!("{} of {} (--layout {})", self.kind, self.shape, self.layout)
    }
}

/// An image this many times longer than wide, or more, may as well be a window.
const WINDOW_ASPECT: usize = 4;
/// So many rows or columns, or fewer, are rather the sensors of a window than a picture, unless it is square.
const FEW_SENSORS: usize = 12;

/// What two axes of a frame may mean.
fn of_two(a: usize, b: usize, pixels: bool) -> Vec<&'static str> {
    let (least, most) = (a.min(b), a.max(b));
    let window = if a < b { "nct" } else { "ntc" };
    let long = most >= WINDOW_ASPECT * least;
    match (pixels, long) {
        (_, false) if a == b => vec!["nhw"],
        (true, false) => vec!["nhw"],
        (true, true) => vec!["nhw", window],
        (false, true) => vec![window],
        (false, false) if least <= FEW_SENSORS || most >= 2 * least => vec!["nhw", window],
        (false, false) => vec!["nhw"],
    }
}

/// What three axes of a frame may mean: channels are few, beside rows and columns.
fn of_three(a: usize, b: usize, c: usize) -> Vec<&'static str> {
    let channels = |size: usize, one: usize, other: usize| matches!(size, 3 | 4) || 2 * size <= one.min(other);
    match (channels(a, b, c), channels(c, a, b)) {
        (true, false) => vec!["nchw"],
        (false, true) => vec!["nhwc"],
        _ => vec!["nchw", "nhwc"],
    }
}

/// The axes of an array without `surplus` of its axes of size 1, none of them the first; None if it has fewer.
fn without_units(sizes: &[usize], surplus: usize) -> Option<Vec<usize>> {
    let mut axes: Vec<usize> = (0..sizes.len()).collect();
    for _ in 0..surplus {
        let unit = axes.iter().skip(1).position(|&axis| sizes[axis] == 1)?;
        axes.remove(unit + 1);
    }
    Some(axes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guessed(sizes: &[usize], pixels: bool) -> String {
        let guesses = Reading::guesses(sizes, pixels);
        guesses.iter().map(|g| format!("{} {}", g.layout, g.shape)).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn axes_are_told_by_their_sizes_or_asked_for() {
        for (sizes, pixels, expected) in [
            (&[5, 8][..], false, "nf 1x1x8"),
            (&[5, 28, 28], true, "nhw 1x28x28"),
            (&[5, 28, 28], false, "nhw 1x28x28"),
            (&[5, 28, 28, 1], true, "nhw 1x28x28"),
            (&[5, 1, 28, 28], true, "nhw 1x28x28"),
            (&[5, 32, 32, 3], true, "nhwc 3x32x32"),
            (&[5, 3, 32, 32], true, "nchw 3x32x32"),
            (&[5, 64, 48, 4], true, "nhwc 4x64x48"),
            (&[5, 13, 64, 64], false, "nchw 13x64x64"),
            (&[5, 128, 9], false, "ntc 9x1x128"),
            (&[5, 9, 128], false, "nct 9x1x128"),
            (&[5, 128, 9, 1], false, "ntc 9x1x128"),
            (&[5, 6, 1, 128], false, "nct 6x1x128"),
            (&[5, 64, 1, 1], false, "nf 1x1x64"),
            // Asked for.
            (&[5, 1, 1, 128], false, "nt 1x1x128, nf 1x1x128"),
            (&[5, 128, 1], false, "nt 1x1x128, nf 1x1x128"),
            (&[5, 20, 6], false, "nhw 1x20x6, ntc 6x1x20"),
            (&[5, 28, 140], true, "nhw 1x28x140, nct 28x1x140"),
            (&[5, 3, 32, 3], true, "nchw 3x32x3, nhwc 3x3x32"),
        ] {
            assert_eq!(guessed(sizes, pixels), expected, "{sizes:?}");
        }
    }

    #[test]
    fn letters_may_stand_in_any_order() {
        let read = |text: &str, sizes: &[usize]| Reading::of(&text.parse().unwrap(), sizes).unwrap();
        let matlab = read("hwcn", &[4, 6, 3, 7]);
        assert_eq!((matlab.shape.to_string().as_str(), matlab.order), ("3x4x6", vec![3, 2, 0, 1]));
        assert_eq!(read("nt", &[7, 1, 1, 9]).order, [0, 3, 1, 2]);
        assert_eq!(read("nf", &[7, 2, 9]).shape.to_string(), "1x1x18");
        let rows = read("nhwc:4x6x3", &[7, 72]);
        assert_eq!(
            (rows.shape.to_string().as_str(), rows.order, rows.sizes),
            ("3x4x6", vec![0, 3, 1, 2], vec![7, 4, 6, 3])
        );
        assert_eq!("nchw:3x32x32".parse::<Layout>().unwrap().to_string(), "nchw:3x32x32");
        for wrong in ["nhw:28", "hwn:28x28", "nhw:28x0", "nhw:", "nhw:ax3"] {
            assert!(wrong.parse::<Layout>().unwrap_err().contains("nhw:28x28"), "{wrong}");
        }
        assert!(Reading::of(&"nhw:28x28".parse().unwrap(), &[5, 783]).unwrap_err().contains("nhw:28x28"));
        assert!("nhc".parse::<Layout>().unwrap_err().contains("nhwc"));
        assert!(Reading::of(&"nchw".parse().unwrap(), &[5, 8]).unwrap_err().contains("--layout nchw"));
    }
}
