//! What is told of frames that are not in the range of values that a model was fitted to.

use trainer::Result;
use trainer::data::{DataSet, SeenValues};

use super::progress::shown;

/// How often a comparison looks at a frame.
const LOOKS: usize = 2;

/// Tells on stderr, a line each, whether frames lie outside the range seen in training, or vary far less; false
/// if so.
///
/// # Errors
/// If the frames cannot be read.
pub fn tell(seen: Option<&SeenValues>, set: &DataSet) -> Result<bool> {
    let Some(seen) = seen else {
        eprintln!(
            "range: the model does not say which values it was fitted to, so frames in other units go unnoticed; \
             `trainer calibrate` of its run and `trainer export` add that"
        );
        return Ok(true);
    };
    // Frames of another shape are refused by who takes them.
    let Some(comparison) = shown("range", &set.frames, LOOKS, |frames| seen.compare(frames))? else { return Ok(true) };
    let lines = comparison.lines(set.frames.shape, set.columns.as_deref());
    lines.iter().for_each(|line| eprintln!("range: {line}"));
    Ok(lines.is_empty())
}
