//! One training over several devices: each computes its rows of the batch, and the loss is that of the whole batch.
//!
//! The weights live on the first device. A step sends them to the others, whose rows come back as what is small: m and
//! log v, statistics of the normalisation, a likelihood a frame. All of it is one graph, in which a copy to another
//! device has the copy back as its gradient, so that gradients add up on the first device. Averaging the gradients of
//! parts, as is usual, would train on another loss: I(c;c') and the statistics of a normalisation are no means over
//! parts of a batch.

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};

use crate::model::{ClusterVae, Decoder, Posterior};

/// A model whose batches are spread over devices.
pub struct Spread<'a> {
    model: &'a ClusterVae,
    devices: &'a [Device],
    /// The decoder on each of `devices`; empty if there is only one device.
    decoders: Vec<Decoder>,
}

impl<'a> Spread<'a> {
    /// Sends the weights to all `devices`, the first of which has them.
    pub fn new(model: &'a ClusterVae, devices: &'a [Device]) -> Self {
        let decoders = match devices {
            [_] => Vec::new(),
            _ => devices.iter().map(|device| model.decoder.clone().to_device(device)).collect(),
        };
        Self { model, devices, decoders }
    }

    /// The first device, on which the weights live and the loss is computed.
    pub fn home(&self) -> &Device {
        &self.devices[0]
    }

    /// q(z|x) of `frames` `[B,P]`, every device its rows; see [`crate::model::Encoder::forward`].
    pub fn encode(&self, frames: Tensor<2>) -> Posterior {
        if self.decoders.is_empty() {
            return self.model.encoder.forward(frames);
        }
        let parts = self.model.encoder.forward_parts(self.send(frames));
        let gather = |of: fn(&Posterior) -> Tensor<2>| self.gather(parts.iter().map(of).collect());
        Posterior {
            mu_z: gather(|part| part.mu_z.clone()),
            log_var_z: gather(|part| part.log_var_z.clone()),
            features: gather(|part| part.features.clone()),
        }
    }

    /// log p(x|z) `[B]` of frames `[B,P]` and latents `[B,D]`, without a cluster; see [`Decoder::log_likelihood`].
    pub fn log_likelihood(&self, frames: Tensor<2>, z: Tensor<2>) -> Tensor<1> {
        if self.decoders.is_empty() {
            return self.model.decoder.log_likelihood(frames, z);
        }
        let rows = self.send(frames).into_iter().zip(self.send(z));
        self.gather(rows.zip(&self.decoders).map(|((x, z), decoder)| decoder.log_likelihood(x, z)).collect())
    }

    /// log p(x|z,c) `[B]` for one cluster a frame `[B]`; see [`Decoder::log_likelihood_of`].
    pub fn log_likelihood_of(&self, frames: Tensor<2>, z: Tensor<2>, cluster: Tensor<1, Int>) -> Tensor<1> {
        if self.decoders.is_empty() {
            return self.model.decoder.log_likelihood_of(frames, z, cluster);
        }
        let clusters = cluster.chunk(self.devices.len(), 0).into_iter().zip(self.devices);
        let clusters = clusters.map(|(cluster, device)| cluster.to_device(device));
        let rows = self.send(frames).into_iter().zip(self.send(z)).zip(clusters);
        let of = |(((x, z), c), decoder): (((_, _), _), &Decoder)| decoder.log_likelihood_of(x, z, c);
        self.gather(rows.zip(&self.decoders).map(of).collect())
    }

    /// log p(x|z,c) `[B,K]` for every cluster; see [`Decoder::log_likelihood_all`].
    pub fn log_likelihood_all(&self, frames: Tensor<2>, z: Tensor<2>) -> Tensor<2> {
        if self.decoders.is_empty() {
            return self.model.decoder.log_likelihood_all(frames, z);
        }
        let rows = self.send(frames).into_iter().zip(self.send(z));
        self.gather(rows.zip(&self.decoders).map(|((x, z), decoder)| decoder.log_likelihood_all(x, z)).collect())
    }

    /// The rows of a batch, cut into as many parts as there are devices and sent there.
    fn send(&self, rows: Tensor<2>) -> Vec<Tensor<2>> {
        let parts = rows.chunk(self.devices.len(), 0).into_iter();
        parts.zip(self.devices).map(|(part, device)| part.to_device(device)).collect()
    }

    /// The parts of a batch, brought to the first device and joined.
    fn gather<const R: usize>(&self, parts: Vec<Tensor<R>>) -> Tensor<R> {
        Tensor::cat(parts.into_iter().map(|part| part.to_device(self.home())).collect(), 0)
    }
}
