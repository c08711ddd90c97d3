//! What the defaults reach on real data, every label unseen: bars under which something has broken. The whole suite is
//! `benches/suite.py`.
#![expect(clippy::unwrap_used, reason = "a helper that fails is the test's own message")]

use std::ops::ControlFlow;
use std::path::PathBuf;

use burn::tensor::Device;
use trainer::config::{Config, Count, Preset};
use trainer::data::{self, Frames, Role};
use trainer::{evaluate, fit};

/// Accuracy on `score` of a fit to `frames`.
fn accuracy(config: Config, frames: &Frames, score: &Frames) -> f64 {
    let config = config.check(frames.shape).unwrap();
    let unlabelled = Frames { labels: None, ..frames.clone() };
    let fitted = fit(&config, &unlabelled, &Device::flex(), None, &mut |_| ControlFlow::Continue(()));
    evaluate(&fitted.unwrap().unwrap(), score, 1, &Device::flex()).unwrap().scores.unwrap().acc
}

/// The mean over three seeds, nothing set but K.
fn with_defaults(name: &str, frames: &Frames, clusters: usize) -> f64 {
    let of_seed = |seed| accuracy(Config { seed, clusters: Count::Of(clusters), ..Config::default() }, frames, frames);
    let accuracies: Vec<f64> = (0..3).map(of_seed).collect();
    eprintln!("{name}: {accuracies:?}");
    accuracies.iter().sum::<f64>() / 3.0
}

fn table(name: &str) -> Frames {
    let path = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("../tests/data").join(name);
    data::open(Some(&path), Role::Fit).unwrap()
}

/// The best of k-means and Gaussian mixtures of scikit-learn: iris 0.967, wine 0.983, one-hot 1.
#[test]
fn small_tables_are_clustered_as_well_as_by_the_best_plain_method() {
    let iris = with_defaults("iris", &table("iris.csv"), 3);
    assert!(iris >= 0.96, "{iris}");
    let wine = with_defaults("wine", &table("wine.csv"), 3);
    assert!(wine >= 0.95, "{wine}");
    let shape = trainer::FrameShape { channels: 1, height: 1, width: 4 };
    let values = (0..400).flat_map(|n| (0..4).map(move |i| f32::from(u8::from(n % 4 == i)))).collect();
    let one_hot = Frames { shape, values, labels: Some((0..400).map(|n| n % 4).collect()) };
    assert_eq!(with_defaults("one-hot", &one_hot, 4), 1.0);
}

/// Ten seeds reach 0.970 to 0.978; a minute.
#[test]
fn the_demo_tells_digits_apart() {
    let (frames, score) = (data::open(None, Role::Fit).unwrap(), data::open(None, Role::Score).unwrap());
    let found = accuracy(Preset::Demo.config(), &frames, &score);
    assert!(found >= 0.95, "{found}");
}
