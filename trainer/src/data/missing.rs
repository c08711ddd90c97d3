//! Values that are not there: refused, left out with their frame, or replaced by the mean.

use super::Frames;
use super::readers::{Stored, Value};

/// What becomes of frames in which a value is missing (an empty or `NA` field, NaN in an array).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Missing {
    /// They are refused, by place.
    #[default]
    Error,
    /// They are left out, and how many is told.
    Drop,
    /// The mean of the value over the other frames stands in, and for how many is told.
    Mean,
}

/// Does with missing values what was asked for; says which of the frames that there were are kept.
///
/// # Errors
/// With the place of a value that is missing where that is refused, or that is infinite as stored or in this precision.
pub fn settled<T: Value>(
    frames: &mut Frames<T>,
    stored: &Stored,
    missing: Missing,
    columns: Option<&[String]>,
    notes: &mut Vec<String>,
) -> Result<Vec<bool>, String> {
    let (p, count) = (frames.shape.len(), frames.len());
    let is_missing = |v: T| Into::<f64>::into(v).is_nan();
    let place = |at: usize| match columns {
        Some(names) => format!("row {}, column \"{}\"", at / p + 1, names[at % p]),
        None => format!("frame {}, value {}", at / p, at % p),
    };
    if let Some(at) = frames.values.iter().position(|v| !v.is_finite() && !is_missing(*v)) {
        let found = stored.wide()[at];
        return Err(match found.is_infinite() {
            true => format!("{}: {found}, expected a finite number", place(at)),
            false => format!("{}: {found:e} is beyond {}; give the data in larger units", place(at), T::PRECISION),
        });
    }
    let Some(first) = frames.values.iter().position(|v| is_missing(*v)) else { return Ok(vec![true; count]) };
    match missing {
        Missing::Error => Err(format!(
            "{}: missing (NaN), expected a finite number; --missing drop leaves such frames out, --missing mean puts the \
             mean there",
            place(first)
        )),
        Missing::Drop => {
            let kept: Vec<bool> =
                frames.values.chunks_exact(p).map(|frame| !frame.iter().any(|v| is_missing(*v))).collect();
            let places: Vec<usize> = (0..count).filter(|n| kept[*n]).collect();
            if places.is_empty() {
                return Err("a value is missing in every frame".into());
            }
            notes.push(format!("{} frames left out, in which a value is missing", count - places.len()));
            *frames = frames.select(&places);
            Ok(kept)
        }
        Missing::Mean => {
            let mut filled = 0;
            for i in 0..p {
                let (mut sum, mut known) = (0.0, 0usize);
                for v in frames.values.iter().skip(i).step_by(p).filter(|v| !is_missing(**v)) {
                    sum += Into::<f64>::into(*v);
                    known += 1;
                }
                if known == count {
                    continue;
                }
                if known == 0 {
                    return Err(format!("{}: missing in every frame; leave it out by --ignore", place(i)));
                }
                let mean = sum / known as f64;
                let gaps = frames.values.iter_mut().skip(i).step_by(p).filter(|v| is_missing(**v));
                gaps.for_each(|v| *v = T::of(mean as f32, mean));
                filled += count - known;
            }
            notes.push(format!("{filled} missing values replaced by the mean of their column"));
            Ok(vec![true; count])
        }
    }
}
