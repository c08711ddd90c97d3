//! A tiny model with random weights, and frames for it, that the tests of maps and of their quality share.
#![expect(clippy::unwrap_used, reason = "a failure to build the fixture is the test's own message")]

use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use runtime::Calibration;
use trainer::config::Config;
use trainer::data::Frames;
use trainer::data::scaling::Scaling;
use trainer::fitted::{Fitted, NoveltyScore};
use trainer::frame::FrameShape;
use trainer::model::{ClusterVae, Init, Likelihood};

pub const SHAPE: FrameShape = FrameShape { channels: 1, height: 6, width: 5 };

pub fn tensor<const R: usize>(values: Vec<f32>, shape: [usize; R]) -> Tensor<R> {
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

/// A model with random weights, its decoder's enlarged so that clusters differ.
pub fn random(likelihood: Likelihood, scaling: Option<Scaling>) -> Fitted {
    let device = Device::flex();
    let settings = ["clusters=3", "latent=4", "encoder.channels=[4]", "encoder.hidden=[16]", "decoder.hidden=[16]"];
    let config = Config::default().set(&settings.map(str::to_owned)).unwrap().check(SHAPE).unwrap();
    let mut init = Init { rng: ChaCha8Rng::seed_from_u64(5), device: &device };
    let mut model = ClusterVae::new(&config, SHAPE, likelihood, &mut init);
    model.decoder.output.weight = model.decoder.output.weight.map(|w| w * 6.0);
    model.decoder.log_noise = Param::from_tensor(tensor(vec![-1.3], [1]));
    model.prior.log_var_c = Param::from_tensor(tensor(vec![0.3, -0.4, 0.1], [3]));
    let calibration = Calibration::threshold(0.0);
    Fitted {
        config,
        model,
        shape: SHAPE,
        front_end: None,
        scaling,
        seen: None,
        likelihood,
        calibration,
        novelty: NoveltyScore::latent(0.0),
        calibrated_on: 99,
        data_sha256: String::new(),
        columns: None,
        manner: None,
    }
}

pub fn scaling() -> Scaling {
    let p = SHAPE.len();
    Scaling { shift: (0..p).map(|i| i as f32 * 0.1).collect(), factor: vec![2.0; p] }
}

pub fn frames(n: usize) -> Frames {
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    let values = (0..n * SHAPE.len()).map(|_| rng.random::<f32>()).collect();
    Frames { shape: SHAPE, values, labels: None }
}

pub fn close(found: f64, expected: f64, tolerance: f64, what: &str) {
    assert!((found - expected).abs() <= tolerance * (1.0 + expected.abs()), "{what}: {found}, expected {expected}");
}
