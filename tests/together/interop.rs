//! Our files and figures in other people's hands: onnx's checker, ONNX Runtime, scikit-learn, Burn's own importer.
//!
//! `tests/run` installs the Python ones and names their Python in ONNX_PYTHON; without it their tests are skipped.
#![expect(clippy::unwrap_used, reason = "a helper that fails is the test's own message")]

use std::ffi::OsString;
use std::io::BufWriter;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Tensor, TensorData};
use npyz::WriterBuilder;
use trainer::config::Config;
use trainer::data::{Frames, Role, open};
use trainer::eval::{Predictions, predict};
use trainer::export::{Precision, export};
use trainer::fit::fit;
use trainer::fitted::Fitted;

/// What burn-onnx makes of `model.onnx`. Its weights are a file, so it changes only with the architecture.
mod reimported {
    #![allow(warnings, clippy::all, clippy::panic, clippy::unwrap_used, clippy::expect_used)]
    include!("interop/reimported.rs");
}

const FRAMES: usize = 1000;

struct Digits {
    model: Fitted,
    frames: Frames,
    expected: Predictions,
}

/// A model of the default architecture, barely trained, so that few responsibilities are close to 0 or 1.
static DIGITS: LazyLock<Digits> = LazyLock::new(|| {
    let settings = ["pretrain.steps=60", "refine.steps=30", "mixture.restarts=2", "mixture.moves=0"];
    let train = open(None, Role::Fit).unwrap();
    let config = Config::demo().set(&settings.map(str::to_owned)).unwrap().check(train.shape).unwrap();
    let device = Device::flex();
    let model = fit(&config, &train, &device, None, &mut |_| ControlFlow::Continue(())).unwrap().unwrap();
    let frames = open(None, Role::Score).unwrap().select(&(0..FRAMES).collect::<Vec<_>>());
    let expected = predict(&model, &frames, &device).unwrap();
    Digits { model, frames, expected }
});

fn write_npy<T: npyz::AutoSerialize + Copy>(path: PathBuf, shape: &[u64], values: &[T]) {
    let file = BufWriter::new(std::fs::File::create(path).unwrap());
    let mut writer = npyz::WriteOptions::new().default_dtype().shape(shape).writer(file).begin_nd().unwrap();
    writer.extend(values.iter().copied()).unwrap();
    writer.finish().unwrap();
}

/// A source file of this folder, wherever the clone is.
fn source(name: &str) -> PathBuf {
    PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("../tests/together/interop").join(name)
}

/// The Python of `tests/run`, or None where there is none.
fn python() -> Option<OsString> {
    let python = std::env::var_os("ONNX_PYTHON");
    if python.is_none() {
        eprintln!("skipped: ONNX_PYTHON names no Python with onnx, onnxruntime and scikit-learn; use tests/run");
    }
    python
}

/// Runs a script of this folder, which ends with a fault if something does not agree.
fn agrees(python: OsString, script: &str, arguments: &[&Path]) {
    let output = Command::new(python).arg(source(script)).args(arguments).output().unwrap();
    println!("{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn mixtures_are_those_of_scikit_learn_and_mclust() {
    let Some(python) = python() else { return };
    let dir = tempfile::tempdir().unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_trainer"));
    agrees(python, "gmm_agrees.py", &[program, dir.path(), &source("../../data/faithful.csv")]);
}

#[test]
fn onnx_runtime_agrees_with_the_trained_model() {
    let Some(python) = python() else { return };
    let Digits { model, frames, expected } = &*DIGITS;
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    export(model, None, Precision::F32, &at("f32"), None).unwrap();
    export(model, None, Precision::F16, &at("f16"), None).unwrap();
    let n = FRAMES as u64;
    write_npy(at("frames.npy"), &[n, 1, 28, 28], &frames.values);
    let q: Vec<f32> = expected.log_responsibilities.iter().map(|l| l.exp()).collect();
    write_npy(at("responsibilities.npy"), &[n, 10], &q);
    write_npy(at("novelty.npy"), &[n], &expected.novelty);

    // The decoder, on points around the origin under every cluster.
    let z: Vec<f32> = (0..20 * 10).map(|i| (i as f32 * 0.7).sin() * 2.0).collect();
    let clusters: Vec<i64> = (0..20).map(|i| i % 10).collect();
    let input = Tensor::<2>::from_data(TensorData::new(z.clone(), [20, 10]), &Device::flex());
    let all: Vec<f32> = sigmoid(model.model.decoder.forward_all(input)).try_into_vec_as().unwrap();
    let of = |i: usize| &all[(i * 10 + i % 10) * 784..][..784];
    let images: Vec<f32> = (0..20).flat_map(of).copied().collect();
    write_npy(at("z.npy"), &[20, 10], &z);
    write_npy(at("cluster.npy"), &[20], &clusters);
    write_npy(at("reconstruction.npy"), &[20, 784], &images);

    agrees(python, "onnx_agrees.py", &[dir.path()]);
}

/// Generates the importer's code anew in `folder`.
fn reimport(model: &Path, folder: &Path) -> String {
    burn_onnx::ModelGen::new()
        .input(model.to_str().unwrap())
        .out_dir(folder.to_str().unwrap())
        .load_strategy(burn_onnx::LoadStrategy::Bytes)
        .run_from_cli();
    let code = std::fs::read_to_string(folder.join("model.rs")).unwrap();
    // The first line names the file, which lies in a temporary folder.
    code.split_once('\n').unwrap().1.to_owned()
}

#[test]
fn burn_reimports_the_file_with_the_same_numbers() {
    let model = &DIGITS.model.with_latent_novelty();
    let frames = &DIGITS.frames;
    let expected = &predict(model, frames, &Device::flex()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let exported = export(model, None, Precision::F32, dir.path(), None).unwrap();
    let code = reimport(&exported.onnx, &dir.path().join("burn"));
    let committed = source("reimported.rs");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&committed, &code).unwrap();
    }
    assert!(
        code == std::fs::read_to_string(&committed).unwrap(),
        "tests/together/interop/reimported.rs is not what burn-onnx gives today; if the architecture changed, run this test \
         twice, first with UPDATE=1"
    );
    let device = Device::flex();
    let weights = std::fs::read(dir.path().join("burn/model.bpk")).unwrap();
    let imported = reimported::Model::from_bytes(burn::tensor::Bytes::from_bytes_vec(weights), &device);
    let input = Tensor::<4>::from_data(TensorData::new(frames.values.clone(), [FRAMES, 1, 28, 28]), &device);
    let (_, _, log_q, q, novelty) = imported.forward(input);
    let host = |values: TensorData| values.try_into_vec::<f32>().unwrap();
    for (found, expected) in host(log_q.into_data()).iter().zip(&expected.log_responsibilities) {
        assert!((found.exp() - expected.exp()).abs() < 1e-5, "{found} {expected}");
    }
    for (found, expected) in host(q.into_data()).iter().zip(&expected.log_responsibilities) {
        assert!((found - expected.exp()).abs() < 1e-5, "{found} {expected}");
    }
    for (found, expected) in host(novelty.into_data()).iter().zip(&expected.novelty) {
        assert!((found - expected).abs() < 1e-4 * (1.0 + expected.abs()), "{found} {expected}");
    }
}
