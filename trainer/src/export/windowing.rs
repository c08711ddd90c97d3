//! How the device cuts windows: as the frames of training were cut.

use runtime::Windowing;
use runtime::onnx::names;

use crate::error::{Error, Result};
use crate::fitted::Fitted;

/// Hop and rate of the recordings that a model was fitted to; None of one that was fitted to frames.
///
/// # Errors
/// [`Error::Model`] if they are none of windows of the model's frames.
pub fn windowing(fitted: &Fitted) -> Result<Option<Windowing>> {
    let Some(windows) = fitted.manner.as_ref().and_then(|manner| manner.windows.as_ref()) else { return Ok(None) };
    let shape = fitted.shape;
    let frame = runtime::FrameShape { channels: shape.channels, height: shape.height, width: shape.width };
    let windowing = Windowing::new(frame, windows.hop, windows.rate.map(|rate| rate as f32));
    let windowing = windowing.filter(|_| windows.window == shape.width);
    windowing.map(Some).ok_or_else(|| {
        let problem = format!("frames of {shape} are no windows as they are said to be cut: {windows:?}");
        Error::model("model.json", problem)
    })
}

/// Entries of the metadata that say the same.
pub fn metadata(windowing: Windowing) -> impl Iterator<Item = (&'static str, String)> {
    let rate = windowing.rate().map(|rate| (names::RATE_KEY, rate.to_string()));
    [(names::HOP_KEY, windowing.hop().to_string())].into_iter().chain(rate)
}
