//! The models that are measured: the trained default, and three of random weights.

use std::path::PathBuf;

use burn::tensor::Device;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use runtime::Calibration;
use trainer::Error;
use trainer::config::Config;
use trainer::data::digits;
use trainer::export::{Precision, encode, encode_flash};
use trainer::fitted::{Fitted, NoveltyScore};
use trainer::frame::FrameShape;
use trainer::model::{ClusterVae, Init, Likelihood};
use trainer::run;

/// A model, its files, and the frames it is given.
pub struct Shape {
    /// Letter.
    pub name: &'static str,
    /// Layers.
    pub what: &'static str,
    /// The model of the training framework.
    pub fitted: Fitted,
    /// ONNX with f32 weights.
    pub onnx: Vec<u8>,
    /// ONNX with f16 weights.
    pub onnx_f16: Vec<u8>,
    /// Flash image.
    pub image: Vec<u8>,
    /// 10,000 digits, or a stretch of each `[N,P]`.
    pub frames: Vec<f32>,
}

impl Shape {
    /// Values a frame.
    pub fn length(&self) -> usize {
        self.fitted.shape.len()
    }
}

/// Every shape.
pub fn all() -> Result<Vec<Shape>, Error> {
    let digits = digits::all()?.values;
    let mlp = |hidden: &str, latent: &str, shape| random(&["encoder.channels=[]", hidden, latent], shape);
    let image = FrameShape { channels: 1, height: 28, width: 28 };
    let features = FrameShape { channels: 1, height: 1, width: 128 };
    // Rows 12 to 16 of a digit, where most of them have ink.
    let stretch = digits.chunks_exact(784).flat_map(|digit| &digit[12 * 28..12 * 28 + 128]).copied().collect();
    let (default, what) = shipped()?;
    // As a filtered sensor at rest gives them: their products are subnormal.
    let next_to_0 = digits.iter().map(|value| 1e-36 * (value + 1.0)).collect();
    Ok(vec![
        shape(
            "A",
            "784-500-500-2000-10, random weights",
            mlp("encoder.hidden=[500,500,2000]", "latent=10", image)?,
            digits.clone(),
        )?,
        shape(
            "B",
            "784-256-128-10, random weights",
            mlp("encoder.hidden=[256,128]", "latent=10", image)?,
            digits.clone(),
        )?,
        shape("C", what, default, digits)?,
        shape(
            "E",
            "784-256-128-10, random weights, frames of values near 1e-36",
            mlp("encoder.hidden=[256,128]", "latent=10", image)?,
            next_to_0,
        )?,
        shape("D", "128-32-16-8, random weights", mlp("encoder.hidden=[32,16]", "latent=8", features)?, stretch)?,
    ])
}

fn shape(name: &'static str, what: &'static str, fitted: Fitted, frames: Vec<f32>) -> Result<Shape, Error> {
    Ok(Shape {
        name,
        what,
        onnx: encode(&fitted, Precision::F32)?,
        onnx_f16: encode(&fitted, Precision::F16)?,
        image: encode_flash(&fitted, None)?,
        fitted,
        frames,
    })
}

/// The default encoder: the shipped model if its folder is there.
fn shipped() -> Result<(Fitted, &'static str), Error> {
    // Asked for at run time: a bench that a build cache kept knows the folder of another clone.
    let folder = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("../models/digits");
    if folder.join("model.json").exists() {
        return Ok((
            run::load(&folder, &Device::flex())?.with_latent_novelty(),
            "default convolutional encoder, trained on MNIST",
        ));
    }
    let image = FrameShape { channels: 1, height: 28, width: 28 };
    Ok((random(&[], image)?, "default convolutional encoder, random weights"))
}

fn random(settings: &[&str], shape: FrameShape) -> Result<Fitted, Error> {
    let settings: Vec<String> = settings.iter().map(|s| (*s).to_owned()).collect();
    let config = Config::default().set(&settings)?.check(shape)?;
    let device = Device::flex();
    let mut init = Init { rng: ChaCha8Rng::seed_from_u64(1), device: &device };
    let model = ClusterVae::new(&config, shape, Likelihood::Bernoulli, &mut init);
    Ok(Fitted {
        config,
        model,
        shape,
        front_end: None,
        scaling: None,
        seen: None,
        likelihood: Likelihood::Bernoulli,
        calibration: Calibration::threshold(20.0),
        novelty: NoveltyScore::latent(20.0),
        calibrated_on: 1,
        data_sha256: String::new(),
        columns: None,
        manner: None,
    })
}
