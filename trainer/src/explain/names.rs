//! What the values are called that maps are of.

use crate::fitted::Fitted;

/// Names of the values that maps are of: of a front end by channel and band, of rows as their columns are called. None of
/// pictures, of samples, and of columns without names.
pub fn names(fitted: &Fitted) -> Option<Vec<String>> {
    let Some(front_end) = &fitted.front_end else {
        // The columns of recordings are channels, of many samples each.
        return fitted.columns.clone().filter(|columns| columns.len() == fitted.shape.len());
    };
    let spec = front_end.spec(fitted.shape)?;
    let front_end = spec.front_end()?;
    (0..front_end.shape().len()).map(|at| Some(front_end.feature(at)?.to_string())).collect()
}
