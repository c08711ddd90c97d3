//! What speaks for a cluster, in words.

use super::Explanation;
use crate::fitted::Fitted;

/// Most features that are told of a frame.
const TOLD: usize = 3;

/// The features of a front end that speak most for the cluster and against the runner-up, by channel and band; None where
/// the networks see the frame itself.
pub fn telling(fitted: &Fitted, explanation: &Explanation) -> Option<String> {
    let spec = fitted.front_end.as_ref()?.spec(fitted.shape);
    let front_end = spec.front_end()?;
    let contrast = &explanation.contrast;
    let mut order: Vec<usize> = (0..contrast.len()).collect();
    order.sort_by(|&a, &b| contrast[b].total_cmp(&contrast[a]));
    let of = |&at: &usize| Some(format!("{} ({:.1} nats)", front_end.feature(at)?, contrast[at]));
    Some(order.iter().take(TOLD).filter_map(of).collect::<Vec<_>>().join("; "))
}
