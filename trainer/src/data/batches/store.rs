//! The frames of training, and batches of them: on a device that is not the CPU, so that a step brings over no pixels.

use std::cell::OnceCell;

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::{Batch, Drawn, DrawnViews};
use crate::cpu::on_cpu;
use crate::data::views::{ImageMapper, Views};
use crate::data::{Part, Source};
use crate::error::Result;

/// Bytes of frames that are kept on a device; more are brought over batch by batch.
const MOST_BYTES: usize = 1 << 30;

/// Has the frames of a training and makes batches of them on its device.
pub struct Store<'a> {
    frames: Part<'a>,
    device: Device,
    /// All frames `[N,P]`, if they are on the device.
    resident: Option<Tensor<2>>,
    /// What maps images on the device, made for the first batch that needs it; the CPU never does.
    mapper: OnceCell<ImageMapper>,
}

impl<'a> Store<'a> {
    /// Brings the frames to `device`, unless it is the CPU or they are too many.
    ///
    /// # Errors
    /// As for [`Source::read`].
    pub fn new(frames: Part<'a>, device: &Device) -> Result<Self> {
        let device = device.clone().inner();
        let (n, p) = (frames.len(), frames.shape().len());
        let resident = if n * p * size_of::<f32>() <= MOST_BYTES && !on_cpu(&device) {
            Some(to_tensor(&frames.gather(&(0..n).collect::<Vec<_>>())?.values, p, &device))
        } else {
            None
        };
        Ok(Self { frames, device, resident, mapper: OnceCell::new() })
    }

    /// All frames, on the host.
    pub fn frames(&self) -> &Part<'a> {
        &self.frames
    }

    /// Whether the device has the frames, so that a batch needs only their indices.
    pub fn is_resident(&self) -> bool {
        self.resident.is_some()
    }

    /// Whether views are made on the device, rather than by the thread that draws the batches.
    ///
    /// Windows and rows of features are not: most of such a view is noise, which is drawn on the host anyway.
    pub fn makes(&self, views: &Views<'_>) -> bool {
        let on_device = !matches!(views, Views::Maps(maps) if !maps.maps_images());
        self.resident.is_some() && on_device
    }

    /// The batch that was drawn, on the device, with gradient tracking.
    ///
    /// # Errors
    /// As for [`Source::read`].
    pub fn batch(&self, drawn: Drawn) -> Result<Batch> {
        let p = self.frames.shape().len();
        let chosen = match &drawn.values {
            Some(values) => to_tensor(values, p, &self.device),
            None => self.select(&drawn.frames)?,
        };
        let views = match drawn.views {
            DrawnViews::None => None,
            DrawnViews::Values(values) => Some(to_tensor(&values, p, &self.device)),
            DrawnViews::Frames(indices) => Some(self.select(&indices)?),
            DrawnViews::Maps(maps) => {
                let repeated = chosen.clone().repeat_dim(0, maps.len() / drawn.frames.len());
                let mapper = self.mapper.get_or_init(|| ImageMapper::new(self.frames.shape(), &self.device));
                Some(mapper.apply(repeated, &maps))
            }
        };
        let send = |data| Tensor::<2>::from_data(data, &self.device).autodiff();
        Ok(Batch {
            frames: chosen.autodiff(),
            views: views.map(Tensor::autodiff),
            noise: send(drawn.noise),
            gumbel: drawn.gumbel.map(send),
            groups: drawn.groups.map(send),
        })
    }

    /// The frames at `indices`, in that order `[n,P]`.
    fn select(&self, indices: &[usize]) -> Result<Tensor<2>> {
        Ok(match &self.resident {
            Some(all) => {
                let indices: Vec<i32> = indices.iter().map(|&n| n as i32).collect();
                let count = indices.len();
                all.clone().select(0, Tensor::<1, Int>::from_data(TensorData::new(indices, [count]), &self.device))
            }
            None => to_tensor(&self.frames.gather(indices)?.values, self.frames.shape().len(), &self.device),
        })
    }
}

/// A tensor `[rows, columns]` of row-major values.
pub fn to_tensor(values: &[f32], columns: usize, device: &Device) -> Tensor<2> {
    let rows = values.len() / columns;
    Tensor::from_data(TensorData::new(values.to_vec(), [rows, columns]), device)
}
