//! The frames of training, and batches of them: on a device that is not the CPU, so that a step brings over no pixels.

use std::cell::OnceCell;

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::{Batch, Drawn, DrawnViews};
use crate::cpu::on_cpu;
use crate::data::Frames;
use crate::data::views::{ImageMapper, Views};

/// Bytes of frames that are kept on a device; more are brought over batch by batch.
const MOST_BYTES: usize = 1 << 30;

/// Owns the frames of a training and makes batches of them on its device.
///
/// The frames are owned, not borrowed: a training holds them and their store side by side, and would borrow from
/// itself.
#[derive(Clone, Debug)]
pub struct Store {
    frames: Frames,
    device: Device,
    /// All frames `[N,P]`, if they are on the device.
    resident: Option<Tensor<2>>,
    /// What maps images on the device, made for the first batch that needs it; the CPU never does.
    mapper: OnceCell<ImageMapper>,
}

impl Store {
    /// Brings the frames to `device`, unless it is the CPU or they are too many.
    pub fn new(frames: Frames, device: &Device) -> Self {
        let device = device.clone().inner();
        let fits = frames.values.len() * size_of::<f32>() <= MOST_BYTES;
        let resident = (fits && !on_cpu(&device)).then(|| to_tensor(&frames.values, frames.shape.len(), &device));
        Self { frames, device, resident, mapper: OnceCell::new() }
    }

    /// All frames, on the host.
    pub fn frames(&self) -> &Frames {
        &self.frames
    }

    /// Whether views are made on the device, rather than by the thread that draws the batches.
    ///
    /// Windows and rows of features are not: most of such a view is noise, which is drawn on the host anyway.
    pub fn makes(&self, views: &Views<'_>) -> bool {
        let on_device = !matches!(views, Views::Maps(maps) if !maps.maps_images());
        self.resident.is_some() && on_device
    }

    /// The batch that was drawn, on the device, with gradient tracking.
    pub fn batch(&self, drawn: Drawn) -> Batch {
        let chosen = self.select(&drawn.frames);
        let views = match drawn.views {
            DrawnViews::None => None,
            DrawnViews::Values(values) => Some(to_tensor(&values, self.frames.shape.len(), &self.device)),
            DrawnViews::Frames(indices) => Some(self.select(&indices)),
            DrawnViews::Maps(maps) => {
                let repeated = chosen.clone().repeat_dim(0, maps.len() / drawn.frames.len());
                let mapper = self.mapper.get_or_init(|| ImageMapper::new(self.frames.shape, &self.device));
                Some(mapper.apply(repeated, &maps))
            }
        };
        let send = |data| Tensor::<2>::from_data(data, &self.device).autodiff();
        Batch {
            frames: chosen.autodiff(),
            views: views.map(Tensor::autodiff),
            noise: send(drawn.noise),
            gumbel: drawn.gumbel.map(send),
        }
    }

    /// The frames at `indices`, in that order `[n,P]`.
    fn select(&self, indices: &[usize]) -> Tensor<2> {
        match &self.resident {
            Some(all) => {
                let indices: Vec<i32> = indices.iter().map(|&n| n as i32).collect();
                let count = indices.len();
                all.clone().select(0, Tensor::<1, Int>::from_data(TensorData::new(indices, [count]), &self.device))
            }
            None => {
                let values: Vec<f32> = indices.iter().flat_map(|&n| self.frames.frame(n)).copied().collect();
                to_tensor(&values, self.frames.shape.len(), &self.device)
            }
        }
    }
}

/// A tensor `[rows, columns]` of row-major values.
pub fn to_tensor(values: &[f32], columns: usize, device: &Device) -> Tensor<2> {
    let rows = values.len() / columns;
    Tensor::from_data(TensorData::new(values.to_vec(), [rows, columns]), device)
}
