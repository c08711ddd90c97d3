//! Features by their names: what sets a cluster apart, and what a decision rests on, in words.

use crate::explain::{Explanation, names};
use crate::fitted::Fitted;

/// Most features that are named in a line.
const NAMED: usize = 4;

/// The features in the order in which they are drawn, if they have names.
pub fn order(fitted: &Fitted) -> Option<String> {
    let names = fitted.columns.as_ref().filter(|columns| columns.len() == fitted.shape.len())?;
    Some(format!("From left to right: {}.", names.join(", ")))
}

/// The features whose value in the frame `[P]` of a cluster is furthest from the mean of the data, in standard deviations;
/// None where they have no names or are not standardised.
pub fn apart(fitted: &Fitted, frame: &[f32]) -> Option<String> {
    if fitted.front_end.is_some() {
        // Its features are weighted beside their deviations.
        return None;
    }
    let mut scaled = frame.to_vec();
    fitted.scaling.as_ref()?.apply(&mut scaled);
    let spelled = |name: &str, at: usize| format!("{name} {:.4} ({:+.1} \u{3c3})", frame[at], scaled[at]);
    largest(fitted, &scaled, spelled)
}

/// The features that speak most for a frame's cluster or against it, in nats; None where they have no names.
pub fn rests_on(fitted: &Fitted, explanation: &Explanation) -> Option<String> {
    let contrast = &explanation.contrast;
    largest(fitted, contrast, |name, at| format!("{name} {:+.1}", contrast[at]))
}

/// The features of the values furthest from 0, as `spelled` has them.
fn largest(fitted: &Fitted, values: &[f32], spelled: impl Fn(&str, usize) -> String) -> Option<String> {
    let names = names(fitted).filter(|names| names.len() == values.len())?;
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[b].abs().total_cmp(&values[a].abs()));
    Some(order.iter().take(NAMED).map(|&at| spelled(&names[at], at)).collect::<Vec<_>>().join("; "))
}
