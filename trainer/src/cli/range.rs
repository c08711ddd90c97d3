//! What is told of frames that are not in the range of values that a model was fitted to.

use std::path::Path;

use trainer::data::{Columns, Frames, SeenValues, open_table};

/// Tells on stderr, a line each, whether frames lie outside the range seen in training, or vary far less; false
/// if so. `data` is where the frames are from, for the names of its columns.
pub fn tell(seen: Option<&SeenValues>, frames: &Frames, data: Option<&Path>) -> bool {
    let Some(seen) = seen else {
        eprintln!(
            "range: the model does not say which values it was fitted to, so frames in other units go unnoticed; \
             `trainer calibrate` of its run and `trainer export` add that"
        );
        return true;
    };
    // Frames of another shape are refused by who takes them.
    let Some(comparison) = seen.compare(frames) else { return true };
    // Read again only where there is something to name.
    let table = data.filter(|data| comparison.first.is_some() && data.extension().is_some_and(|e| e == "csv"));
    let names = table.and_then(|path| open_table(path, &Columns::default()).ok()?.columns);
    let lines = comparison.lines(frames.shape, names.as_deref());
    lines.iter().for_each(|line| eprintln!("range: {line}"));
    lines.is_empty()
}
