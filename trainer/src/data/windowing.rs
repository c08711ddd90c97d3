//! How recordings are cut into windows.

use serde::{Deserialize, Serialize};

/// How windows are cut out of a recording of C channels, a sample after the other.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Windowing {
    /// Samples T of a window.
    pub window: usize,
    /// Samples from the begin of a window to that of the next.
    pub hop: usize,
    /// Samples a second; None where nobody said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
}
