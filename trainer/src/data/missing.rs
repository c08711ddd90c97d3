//! Values that are not there: refused, left out with their frame, or replaced by the mean.

use super::StoredFrames;
use super::readers::{ReadProblem, Value};
use super::source::frames_in;

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

/// Bytes in f32 of the frames that are looked at together.
const CHUNK_BYTES: usize = 4 << 20;

/// Where values are missing.
struct Gaps {
    /// The first of them, counted over all frames; None if there is none.
    first: Option<usize>,
    /// Frames without any `[N]`.
    whole: Vec<bool>,
    /// Sum of each value over the frames that have it `[P]`.
    sums: Vec<f64>,
    /// Number of frames that have it `[P]`.
    known: Vec<usize>,
}

/// Does with missing values what was asked for; says which of the frames that there were are kept.
///
/// # Errors
/// With the place of a value that is missing where that is refused, or that is infinite as stored or in this precision.
pub fn settled<T: Value + Default>(
    frames: &mut StoredFrames,
    missing: Missing,
    columns: Option<&[String]>,
    notes: &mut Vec<String>,
) -> Result<Vec<bool>, ReadProblem> {
    let (p, count) = (frames.shape.len(), frames.len());
    if !frames.may_lack() {
        return Ok(vec![true; count]);
    }
    let place = |at: usize| match columns {
        Some(names) if names.len() == p => format!("row {}, column \"{}\"", at / p + 1, names[at % p]),
        _ => format!("frame {}, value {}", at / p, at % p),
    };
    let Gaps { first, whole, sums, known } = gaps::<T>(frames, &place)?;
    let Some(first) = first else { return Ok(whole) };
    match missing {
        Missing::Error => Err(format!(
            "{}: missing (NaN), expected a finite number; --missing drop leaves such frames out, --missing mean puts the \
             mean there",
            place(first)
        )
        .into()),
        Missing::Drop => {
            let places: Vec<usize> = (0..count).filter(|n| whole[*n]).collect();
            if places.is_empty() {
                return Err("a value is missing in every frame".into());
            }
            notes.push(format!("{} frames left out, in which a value is missing", count - places.len()));
            *frames = frames.select(&places);
            Ok(whole)
        }
        Missing::Mean => {
            if let Some(i) = known.iter().position(|known| *known == 0) {
                return Err(format!("{}: missing in every frame; leave it out by --ignore", place(i)).into());
            }
            let filled: usize = known.iter().map(|known| count - known).sum();
            notes.push(format!("{filled} missing values replaced by the mean of their column"));
            let means = sums.iter().zip(&known).map(|(sum, &known)| sum / known as f64).collect();
            *frames = frames.clone().with_means(means);
            Ok(vec![true; count])
        }
    }
}

/// Where values are missing; an infinite one is an error.
fn gaps<T: Value + Default>(frames: &StoredFrames, place: &dyn Fn(usize) -> String) -> Result<Gaps, ReadProblem> {
    let (p, count) = (frames.shape.len(), frames.len());
    let mut gaps = Gaps { first: None, whole: vec![true; count], sums: vec![0.0; p], known: vec![0; p] };
    let each = frames_in(CHUNK_BYTES, frames.shape);
    let read = |indices: &[usize], values: &mut [T]| frames.read_as(indices, values).map_err(|e| e.problem);
    for from in (0..count).step_by(each) {
        let indices: Vec<usize> = (from..count.min(from + each)).collect();
        let mut values = vec![T::default(); indices.len() * p];
        read(&indices, &mut values)?;
        for (n, frame) in indices.into_iter().zip(values.chunks_exact(p)) {
            for (i, &value) in frame.iter().enumerate() {
                let wide: f64 = value.into();
                if wide.is_nan() {
                    gaps.first.get_or_insert(n * p + i);
                    gaps.whole[n] = false;
                } else if value.is_finite() {
                    gaps.sums[i] += wide;
                    gaps.known[i] += 1;
                } else {
                    return Err(infinite::<T>(frames, n, i, &place(n * p + i))?.into());
                }
            }
        }
    }
    Ok(gaps)
}

/// What is wrong with value `i` of frame `n`, which is not finite in this precision.
fn infinite<T: Value>(frames: &StoredFrames, n: usize, i: usize, place: &str) -> Result<String, ReadProblem> {
    let mut stored = vec![0.0f64; frames.shape.len()];
    frames.read_as(&[n], &mut stored).map_err(|e| e.problem)?;
    let found = stored[i];
    Ok(match found.is_infinite() {
        true => format!("{place}: {found}, expected a finite number"),
        false => format!("{place}: {found:e} is beyond {}; give the data in larger units", T::PRECISION),
    })
}
