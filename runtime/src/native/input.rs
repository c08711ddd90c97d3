//! From a frame to the inputs of a layer: its values, or the features that the front end makes of them, in the order that
//! the layer walks them, standardised.

use crate::FrameError;
use crate::flash::FlashModel;
use crate::kernels::{LEAST, flushed};
use crate::layer::Layer;

/// Values nearer to 0 than this are taken for 0 before they are standardised, in whatever units they are: below it half of
/// one may be subnormal, over which many processors take a hundred times as long.
const LEAST_RAW: f32 = 8.0 * f32::MIN_POSITIVE;

/// Where the values of a frame, which come channels first, lie among the inputs of a layer.
#[derive(Clone, Copy)]
pub struct Order {
    /// Values a channel.
    pixels: usize,
    /// Channels side by side at each pixel; 1 if the values keep the order of the frame.
    channels: usize,
}

impl Order {
    /// The order of the frame itself.
    pub const OF_FRAME: Self = Self { pixels: 0, channels: 1 };

    /// The order of the first layer: channels last for a convolution; a dense layer knows no channels.
    pub fn of_first_layer(model: &FlashModel<'_>) -> Self {
        let shape = model.input_shape();
        let pixels = shape.height.saturating_mul(shape.width);
        let channels = if matches!(model.layers().first(), Some(Layer::Conv(_))) { shape.channels } else { 1 };
        Self { pixels, channels }
    }

    /// Visits the places in `row` of a frame's values, in the order of the frame, each with the next of `values`.
    fn visit<T>(self, row: &mut [f32], values: impl Iterator<Item = T>, mut visit: impl FnMut(&mut f32, T)) {
        if self.channels == 1 {
            return row.iter_mut().zip(values).for_each(|(slot, value)| visit(slot, value));
        }
        let (mut pixel, mut channel) = (0, 0);
        for value in values {
            if let Some(slot) = row.get_mut(pixel * self.channels + channel) {
                visit(slot, value);
            }
            pixel += 1;
            if pixel == self.pixels {
                (pixel, channel) = (0, channel + 1);
            }
        }
    }
}

/// Values of memory that a front end works in, beside what it writes; 0 where there is none.
pub fn work_len(model: &FlashModel<'_>) -> usize {
    model.front_end().map_or(0, |front_end| front_end.work())
}

/// Writes a frame to `row` as the encoder takes it: in the order of the first layer, standardised. A front end works in
/// `work` ([`work_len`]).
pub fn write(
    model: &FlashModel<'_>,
    row: &mut [f32],
    work: &mut [f32],
    frame: impl Iterator<Item = f32>,
) -> Result<(), FrameError> {
    write_in(Order::of_first_layer(model), model, row, work, frame)
}

/// Writes a frame to `row` in an order of choice, standardised.
pub fn write_in(
    order: Order,
    model: &FlashModel<'_>,
    row: &mut [f32],
    work: &mut [f32],
    frame: impl Iterator<Item = f32>,
) -> Result<(), FrameError> {
    match model.front_end() {
        // What a front end gives has one channel, or there is no convolution: its order is the layer's.
        Some(front_end) => {
            if !front_end.apply(frame.map(|value| flushed(value, LEAST_RAW)), row, work) {
                return Err(FrameError::Engine);
            }
        }
        None => {
            let least = if model.scaling().is_some() { LEAST_RAW } else { LEAST };
            order.visit(row, frame, |slot, value| *slot = flushed(value, least));
        }
    }
    standardise(order, model, row);
    Ok(())
}

/// The values of a frame in its own order, standardised if the model standardises.
pub fn standardised<'m>(
    model: &'m FlashModel<'_>,
    frame: impl Iterator<Item = f32> + 'm,
) -> impl Iterator<Item = f32> + 'm {
    let scaling = model.scaling();
    frame.enumerate().map(move |(at, value)| {
        let of_value = scaling.and_then(|[shift, factor]| Some((shift.get(at)?, factor.get(at)?)));
        of_value.map_or(value, |(shift, factor)| scaled(flushed(value, LEAST_RAW), *shift, *factor))
    })
}

/// (value - shift) · factor, of every value of a frame in `row`, if the model standardises.
fn standardise(order: Order, model: &FlashModel<'_>, row: &mut [f32]) {
    let Some([shift, factor]) = model.scaling() else { return };
    // By halves, so that the difference of two large values stays finite; f64, as in training, is slow on a
    // microcontroller.
    order.visit(row, shift.iter().zip(factor), |slot, (shift, factor)| {
        *slot = scaled(*slot, *shift, *factor);
    });
}

#[inline(always)]
fn scaled(value: f32, shift: f32, factor: f32) -> f32 {
    flushed((0.5 * value - 0.5 * shift) * factor * 2.0, LEAST)
}
