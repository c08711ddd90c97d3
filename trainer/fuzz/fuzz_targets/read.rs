//! What every target does: frames that are whole, or an error that says something.

use std::path::Path;

use rayon::ThreadPoolBuilder;
use trainer::data::{Input, Missing, Source};

/// Before the first input: no other thread is waited for, which takes longer than most inputs do.
pub fn on_this_thread() {
    ThreadPoolBuilder::new().num_threads(1).use_current_thread().build_global().unwrap();
}

/// Takes bytes for what they are, as a file of this name; where values are missing, also without their frames.
pub fn taken(name: &str, bytes: &[u8]) {
    if lacks(name, bytes, Missing::Error) {
        lacks(name, bytes, Missing::Drop);
    }
}

/// Whether values are missing, and what is to become of them is asked.
fn lacks(name: &str, bytes: &[u8], missing: Missing) -> bool {
    let input = Input { missing, ..Input::default() };
    match input.open_bytes(Path::new(name), bytes.to_vec()) {
        Ok(set) => {
            let all = set.frames.all().map(|frames| frames.values).unwrap_or_default();
            assert_eq!(all.len(), set.frames.len() * set.frames.shape.len());
            assert!(!set.frames.is_empty() && all.iter().all(|v| v.is_finite()));
            assert!(set.frames.labels.as_ref().is_none_or(|labels| labels.len() == set.frames.len()));
            assert!(!set.taken.to_string().is_empty());
            false
        }
        Err(e) => {
            assert_eq!(e.exit_code(), 3, "{e}");
            e.to_string().contains("--missing drop")
        }
    }
}
