//! Small frames and small models that several test files share.
#![expect(clippy::unwrap_used, reason = "a failure to build the fixture is the test's own message")]

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use trainer::config::Config;
use trainer::data::Frames;
use trainer::frame::FrameShape;

pub const IMAGE: FrameShape = FrameShape { channels: 1, height: 8, width: 8 };

/// `n` noisy frames of three patterns, labelled by pattern, every value in [0, 1].
pub fn patterns(n: usize, shape: FrameShape, seed: u64) -> Frames {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut values = Vec::new();
    let mut labels = Vec::new();
    for i in 0..n {
        let class = i % 3;
        labels.push(class as u32);
        for p in 0..shape.len() {
            let on = (p * 3 / shape.len()) == class;
            let noise: f32 = rng.sample(StandardNormal);
            values.push((if on { 0.8 } else { 0.2 } + 0.1 * noise).clamp(0.0, 1.0));
        }
    }
    Frames { shape, values, labels: Some(labels) }
}

/// Settings for a model that fits [`patterns`] in a second.
pub fn small() -> Config {
    let mut config = Config::default();
    let settings = [
        "clusters=3",
        "latent=4",
        "encoder.channels=[4]",
        "encoder.kernel=3",
        "encoder.hidden=[16]",
        "decoder.hidden=[16]",
        "augment.shift=0.05",
        "augment.rotation=5",
        "pretrain.starts=1",
        "confidence.halves=0",
        "pretrain.steps=60",
        "pretrain.batch=32",
        "pretrain.learning_rate=3e-3",
        "pretrain.schedule=cosine",
        "refine.steps=40",
        "refine.batch=32",
        "mixture.restarts=2",
        // So few steps do not make clear clusters of every shape of frame.
        "collapse.information=0",
    ];
    config = config.set(&settings.map(str::to_owned)).unwrap();
    config
}
