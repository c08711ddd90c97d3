//! Where the frames of training live: on the device if it is not the CPU, so that a step brings over no pixels.

use std::cell::OnceCell;

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::{Batch, Drawn, DrawnViews};
use crate::cpu::on_cpu;
use crate::data::Frames;
use crate::data::views::{ImageMapper, Views};

/// Bytes of frames that are kept on a device; more are brought over batch by batch.
const MOST_BYTES: usize = 1 << 30;

/// Makes the batches of a training on its device.
#[derive(Clone, Debug)]
pub struct Store {
    device: Device,
    /// All frames `[N,P]`, if they are on the device.
    resident: Option<Tensor<2>>,
    /// Made for the first batch that needs it; the CPU never does.
    mapper: OnceCell<ImageMapper>,
}

impl Store {
    /// Brings the frames to `device`, unless it is the CPU or they are too many.
    pub fn new(frames: &Frames, device: &Device) -> Self {
        let device = device.clone().inner();
        let fits = frames.values.len() * size_of::<f32>() <= MOST_BYTES;
        let resident = (fits && !on_cpu(&device)).then(|| to_tensor(&frames.values, frames.shape.len(), &device));
        Self { device, resident, mapper: OnceCell::new() }
    }

    /// Whether views are made on the device, rather than by the thread that draws the batches.
    ///
    /// Windows and rows of features are not: most of such a view is noise, which is drawn on the host anyway.
    pub fn makes(&self, views: &Views<'_>) -> bool {
        let on_device = !matches!(views, Views::Maps(maps) if !maps.maps_images());
        self.resident.is_some() && on_device
    }

    /// The batch that was drawn, of `frames`, with gradient tracking.
    pub fn batch(&self, frames: &Frames, drawn: Drawn) -> Batch {
        let chosen = self.select(frames, &drawn.frames);
        let views = match drawn.views {
            DrawnViews::None => None,
            DrawnViews::Values(values) => Some(to_tensor(&values, frames.shape.len(), &self.device)),
            DrawnViews::Frames(indices) => Some(self.select(frames, &indices)),
            DrawnViews::Maps(maps) => {
                let repeated = chosen.clone().repeat_dim(0, maps.len() / drawn.frames.len());
                let mapper = self.mapper.get_or_init(|| ImageMapper::new(frames.shape, &self.device));
                Some(mapper.apply(repeated, &maps))
            }
        };
        Batch {
            frames: chosen.autodiff(),
            views: views.map(Tensor::autodiff),
            noise: drawn.noise,
            gumbel: drawn.gumbel,
        }
    }

    /// The frames at `indices`, in that order `[n,P]`.
    fn select(&self, frames: &Frames, indices: &[usize]) -> Tensor<2> {
        match &self.resident {
            Some(all) => {
                let indices: Vec<i32> = indices.iter().map(|&n| n as i32).collect();
                let count = indices.len();
                all.clone().select(0, Tensor::<1, Int>::from_data(TensorData::new(indices, [count]), &self.device))
            }
            None => {
                let values: Vec<f32> = indices.iter().flat_map(|&n| frames.frame(n)).copied().collect();
                to_tensor(&values, frames.shape.len(), &self.device)
            }
        }
    }
}

/// A tensor `[rows, columns]` of row-major values.
pub fn to_tensor(values: &[f32], columns: usize, device: &Device) -> Tensor<2> {
    let rows = values.len() / columns;
    Tensor::from_data(TensorData::new(values.to_vec(), [rows, columns]), device)
}
