//! Frames with something in them that does not belong there, and where it is.

use rand::{Rng, RngExt};

use crate::frame::FrameShape;

/// Share of the data's range by which a value must have changed to count as planted: what lies on
/// ink of its own brightness is not novel.
const CHANGED: f32 = 0.25;
/// Thickness of a stroke, values.
const THICKNESS: f32 = 2.0;

/// A frame with something planted in it, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct Planted {
    /// Values of the changed frame `[P]`.
    pub values: Vec<f32>,
    /// Whether each value was changed `[P]`.
    pub truth: Vec<bool>,
}

/// Plants a straight stroke of the brightest value, as long as a quarter to a half of the larger
/// side.
///
/// Length, direction and place of the stroke are uniform; a frame of one row gets a run of values.
pub fn stroke(frame: &[f32], shape: FrameShape, [low, high]: [f32; 2], rng: &mut impl Rng) -> Planted {
    let side = shape.height.max(shape.width) as f32;
    let mut uniform = |from: f32, to: f32| from + (to - from) * rng.random::<f32>();
    let length = uniform(side / 4.0, side / 2.0);
    let direction = if shape.height == 1 { 0.0 } else { uniform(0.0, std::f32::consts::PI) };
    let (down, across) = direction.sin_cos();
    // The middle keeps it inside the frame where there is room.
    let place = |extent: usize, reach: f32, uniform: &mut dyn FnMut(f32, f32) -> f32| {
        let margin = (reach.abs() / 2.0).min((extent as f32 - 1.0) / 2.0);
        uniform(margin, extent as f32 - 1.0 - margin)
    };
    let middle = [place(shape.height, length * down, &mut uniform), place(shape.width, length * across, &mut uniform)];
    planted(frame, shape, [low, high], |row, column, value| {
        let (y, x) = (row as f32 - middle[0], column as f32 - middle[1]);
        let along = (x * across + y * down).clamp(-length / 2.0, length / 2.0);
        let distance = (x - along * across).hypot(y - along * down);
        // Ink fades over one value at the border.
        let ink = (THICKNESS / 2.0 + 0.5 - distance).clamp(0.0, 1.0);
        value.max(low + (high - low) * ink)
    })
}

/// Plants a rectangle of the value in the middle of the data's range, a quarter as wide and high as
/// the frame.
pub fn occluder(frame: &[f32], shape: FrameShape, [low, high]: [f32; 2], rng: &mut impl Rng) -> Planted {
    let [rows, columns] = [shape.height, shape.width].map(|extent| {
        let size = (extent / 4).max(1);
        let from = rng.random_range(0..=extent - size);
        from..from + size
    });
    planted(frame, shape, [low, high], |row, column, value| {
        if rows.contains(&row) && columns.contains(&column) { low + (high - low) / 2.0 } else { value }
    })
}

/// Applies `change` to every value, in all channels.
fn planted(
    frame: &[f32],
    shape: FrameShape,
    [low, high]: [f32; 2],
    change: impl Fn(usize, usize, f32) -> f32,
) -> Planted {
    let at = |i: usize| (i / shape.width % shape.height, i % shape.width);
    let values: Vec<f32> = frame.iter().enumerate().map(|(i, &v)| change(at(i).0, at(i).1, v)).collect();
    let truth = values.iter().zip(frame).map(|(new, old)| (new - old).abs() > CHANGED * (high - low)).collect();
    Planted { values, truth }
}
