//! What every target does: frames that are whole, or an error that says something.

use std::path::Path;

use trainer::data::{Input, Missing, Source};

/// Takes bytes for what they are, as a file of this name.
pub fn taken(name: &str, bytes: &[u8]) {
    for missing in [Missing::Error, Missing::Drop] {
        let input = Input { missing, ..Input::default() };
        match input.open_bytes(Path::new(name), bytes.to_vec()) {
            Ok(set) => {
                let all = set.frames.all().map(|frames| frames.values).unwrap_or_default();
                assert_eq!(all.len(), set.frames.len() * set.frames.shape.len());
                assert!(!set.frames.is_empty() && all.iter().all(|v| v.is_finite()));
                assert!(set.frames.labels.as_ref().is_none_or(|labels| labels.len() == set.frames.len()));
                assert!(!set.taken.to_string().is_empty());
            }
            Err(e) => assert_eq!(e.exit_code(), 3, "{e}"),
        }
    }
}
