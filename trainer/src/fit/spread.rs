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

#[cfg(test)]
mod tests {
    use burn::module::{ModuleVisitor, Param};
    use burn::optim::GradientsParams;
    use burn::tensor::TensorData;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::config::Config;
    use crate::frame::FrameShape;
    use crate::model::{Init, Likelihood};

    const SHAPE: FrameShape = FrameShape { channels: 1, height: 6, width: 5 };
    /// Rows of the batch, which neither two nor three devices share evenly.
    const ROWS: usize = 11;

    /// All gradients of a model, one after another.
    struct Flat<'a>(&'a GradientsParams, Vec<f32>);

    impl ModuleVisitor for Flat<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.0.get::<D>(param.id) {
                self.1.extend(gradient.into_data().iter::<f32>());
            }
        }
    }

    /// A batch's posteriors and likelihoods, row by row, and the gradient of a loss that weighs every row otherwise.
    fn values_and_gradients(model: &ClusterVae, devices: usize) -> [Vec<f32>; 2] {
        let home = Device::flex().autodiff();
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut random = |columns: usize| {
            let values = (0..ROWS * columns).map(|_| rng.random::<f32>()).collect();
            Tensor::<2>::from_data(TensorData::new(values, [ROWS, columns]), &home)
        };
        let (frames, noise, weights) = (random(SHAPE.len()), random(4), random(1));
        let handles = vec![home.clone(); devices];
        let spread = Spread::new(model, &handles);
        let posterior = spread.encode(frames.clone());
        let z = posterior.sample(noise);
        let clusters = (0..ROWS as i64).map(|row| row % 3).collect();
        let clusters = Tensor::<1, Int>::from_data(TensorData::new(clusters, [ROWS]), &home);
        let column = |likelihood: Tensor<1>| likelihood.unsqueeze_dim::<2>(1);
        let parts = vec![
            posterior.mu_z,
            posterior.log_var_z,
            posterior.features,
            column(spread.log_likelihood(frames.clone(), z.clone())),
            column(spread.log_likelihood_of(frames.clone(), z.clone(), clusters)),
            spread.log_likelihood_all(frames, z),
        ];
        let all = Tensor::cat(parts, 1);
        let gradients = GradientsParams::from_grads((all.clone() * weights).sum().backward(), model);
        let mut flat = Flat(&gradients, Vec::new());
        model.visit(&mut flat);
        [all.into_data().iter::<f32>().collect(), flat.1]
    }

    /// Handles of one device stand for several: this shows that the rows are cut, computed with common statistics, and
    /// joined in their order, with the gradient of the whole. Copies from device to device it cannot show.
    #[test]
    fn every_row_and_every_gradient_is_that_of_one_device() {
        let settings = ["clusters=3", "latent=4", "encoder.channels=[4]", "encoder.hidden=[16]", "decoder.hidden=[16]"];
        let config = Config::default().set(&settings.map(str::to_owned)).unwrap().check(SHAPE).unwrap();
        let mut init = Init { rng: ChaCha8Rng::seed_from_u64(5), device: &Device::flex().autodiff() };
        let model = ClusterVae::new(&config, SHAPE, Likelihood::Bernoulli, &mut init);
        let one = values_and_gradients(&model, 1);
        assert_eq!(one[0].len(), ROWS * (4 + 4 + 16 + 1 + 1 + 3));
        for devices in [2, 3] {
            for (expected, found) in one.iter().zip(values_and_gradients(&model, devices)) {
                assert_eq!(expected.len(), found.len());
                // Of sums of up to some hundred terms in f32.
                let scale = expected.iter().fold(0.0f32, |most, v| most.max(v.abs()));
                let apart = expected.iter().zip(&found).fold(0.0f32, |most, (a, b)| most.max((a - b).abs()));
                assert!(apart <= 1e-5 * scale, "{devices} devices: {apart} apart, of {scale}");
            }
        }
    }
}
