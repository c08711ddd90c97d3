//! The fleet of machines: what the shipped model says of those that it was not fitted to, in every engine and on a stream.
#![expect(clippy::unwrap_used, reason = "a helper that fails is the test's own message")]

use std::path::{Path, PathBuf};

use firmware_sim::host::device::StreamModel;
use firmware_sim::host::recording::Columns;
use firmware_sim::host::stream::{Answers, StreamArgs, stream};
use runtime::flash::{Buffer, DecoderModel};
use runtime::{Assignment, Engine};
use trainer::data::{Frames, write_npy};
use trainer::eval::{Exported, auroc, scores};
use trainer::fleet::{self, SHAPE};
use vibration::{CHANNELS, Fault, HOP, RATE, SCALE, WINDOW};

/// A file of models/. Asked for at run time: a test program that a build cache kept knows the folder of another clone.
fn model(name: &str) -> PathBuf {
    Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("../models").join(name)
}

fn assigned(name: &str, frames: &Frames) -> Vec<Assignment> {
    Exported::open(&model(name)).unwrap().assign(frames, "windows").unwrap()
}

fn novelty(assignments: &[Assignment]) -> Vec<f32> {
    assignments.iter().map(|a| a.novelty).collect()
}

#[test]
fn the_shipped_model_knows_the_states_of_other_machines_and_tells_faults() {
    let others = fleet::others();
    let sound = assigned("vibration.onnx", &others);
    let clusters: Vec<usize> = sound.iter().map(|a| a.cluster).collect();
    let found = scores(&clusters, others.labels.as_deref().unwrap());
    assert!(found.acc >= 0.99, "{found:?}");
    let rate = |of: &[Assignment]| of.iter().filter(|a| a.is_novel).count() as f64 / of.len() as f64;
    // Calibrated for 1 % of windows of machines that it was fitted to; others are a little unlike them.
    assert!(rate(&sound) < 0.06, "{}", rate(&sound));
    let mut any = Vec::new();
    for fault in Fault::ALL {
        let faulty = assigned("vibration.onnx", &fleet::faulty(fault));
        assert!(rate(&faulty) > 0.8, "{fault:?} {}", rate(&faulty));
        any.extend(faulty);
    }
    let scores = [novelty(&sound), novelty(&any)].concat();
    let positive: Vec<bool> = (0..scores.len()).map(|at| at >= sound.len()).collect();
    assert!(auroc(&scores, &positive).unwrap() >= 0.99);
}

#[test]
fn the_image_is_the_same_model_and_says_how_windows_are_cut() {
    let others = fleet::others();
    let [onnx, cvi] = ["vibration.onnx", "vibration.cvi"].map(|name| assigned(name, &others));
    for (n, (a, b)) in onnx.iter().zip(&cvi).enumerate() {
        assert_eq!((a.cluster, a.is_outside), (b.cluster, b.is_outside), "window {n}");
        assert!((a.novelty - b.novelty).abs() < 0.02 * (1.0 + a.novelty.abs()), "window {n}: {a:?} {b:?}");
    }
    let bytes = Buffer::read(model("vibration.cvi")).unwrap();
    let image = DecoderModel::new(&bytes).unwrap();
    let engine = Engine::load(model("vibration.onnx")).unwrap();
    assert_eq!((image.shape(), image.windowing()), (engine.shape(), engine.windowing()));
    let windowing = image.windowing().unwrap();
    assert_eq!((image.shape().len(), image.shape().width), (SHAPE.len(), WINDOW));
    assert_eq!((windowing.hop(), windowing.rate()), (HOP, Some(RATE as f32)));
}

/// What a user who thresholds the level of each axis would have, the states of the machines at hand known.
#[test]
fn level_alone_does_not_tell_the_states() {
    let others = fleet::others();
    let labels = others.labels.as_deref().unwrap();
    let levels: Vec<Vec<f64>> = others
        .values
        .chunks_exact(SHAPE.len())
        .map(|window| window.chunks_exact(WINDOW).map(level).collect())
        .collect();
    let mean = |state: u32, axis: usize| {
        let of_state: Vec<f64> =
            levels.iter().zip(labels).filter(|(_, l)| **l == state).map(|(v, _)| v[axis]).collect();
        of_state.iter().sum::<f64>() / of_state.len() as f64
    };
    let means: Vec<Vec<f64>> = (0..4).map(|state| (0..CHANNELS).map(|axis| mean(state, axis)).collect()).collect();
    let distance = |v: &[f64], mean: &[f64]| v.iter().zip(mean).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
    let nearest =
        |v: &Vec<f64>| (0..4).min_by(|a, b| distance(v, &means[*a]).total_cmp(&distance(v, &means[*b]))).unwrap();
    let right = levels.iter().zip(labels).filter(|(v, label)| nearest(v) == **label as usize).count();
    let share = right as f64 / labels.len() as f64;
    assert!((0.6..0.85).contains(&share), "{share}");
}

/// The logarithm of the deviation of samples.
fn level(samples: &[f32]) -> f64 {
    let mean = samples.iter().copied().map(f64::from).sum::<f64>() / samples.len() as f64;
    (samples.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / samples.len() as f64).sqrt().ln()
}

fn streamed(recording: &Path, columns: Columns, scale: &[f32], quantise: &[f32]) -> Answers {
    let bytes = Buffer::read(model("vibration.cvi")).unwrap();
    let args = StreamArgs { recording: recording.into(), columns, scale: scale.into(), quantise: quantise.into() };
    stream(&StreamModel::new(&bytes).unwrap(), &args).unwrap()
}

/// The recording of `demo`, in units, in counts, and as a table with a gap, sample by sample through the device's loop.
#[test]
fn the_device_says_of_a_stream_what_predict_says_of_its_windows() {
    let counts = fleet::recording();
    let windows: Vec<f32> = vibration::cut(&counts).flatten().collect();
    let frames = Frames { shape: SHAPE, values: windows, labels: None };
    let folder = tempfile::tempdir().unwrap();
    let [units, whole, table] = ["units.npy", "counts.npy", "table.csv"].map(|name| folder.path().join(name));
    let as_floats = |scale: f32| counts.iter().flatten().map(|v| f32::from(*v) * scale).collect::<Vec<f32>>();
    std::fs::write(&units, write_npy(&as_floats(SCALE), CHANNELS).unwrap()).unwrap();
    std::fs::write(&whole, write_npy(&as_floats(1.0), CHANNELS).unwrap()).unwrap();
    let expected = [assigned("vibration.onnx", &frames), assigned("vibration.cvi", &frames)];
    let none = Columns::default;
    for answers in [
        streamed(&units, none(), &[], &[]),
        streamed(&units, none(), &[], &[SCALE]),
        streamed(&whole, none(), &[SCALE], &[]),
    ] {
        assert_eq!((answers.windows.len(), answers.missing, answers.clipped, answers.gaps), (frames.len(), 0, 0, 0));
        for (n, answer) in answers.windows.iter().enumerate() {
            let [onnx, cvi] = [&expected[0][n], &expected[1][n]];
            assert_eq!((answer.cluster, answer.cluster), (Some(onnx.cluster), Some(cvi.cluster)), "window {n}");
            assert!((answer.novelty.unwrap() - cvi.novelty).abs() < 1e-3 * (1.0 + cvi.novelty.abs()), "window {n}");
            assert_eq!(answer.mark == "novel", cvi.is_novel, "window {n}");
            let last = (n * HOP + WINDOW - 1) as f64 / RATE;
            assert!((answer.time - last).abs() < 1e-6);
        }
        // Sound for sixteen seconds, then a pit in a bearing.
        let quarter = frames.len() / 5;
        assert!(answers.windows[..3 * quarter].iter().all(|answer| !answer.alarm));
        assert!(answers.windows[frames.len() - 1].alarm);
    }
    // A second that is missing, and a value that is.
    let mut text = "t,note,x,y,z\n".to_owned();
    for (at, count) in counts.iter().enumerate().filter(|(at, _)| !(8000..9600).contains(at)) {
        let [x, y, z] = count.map(|v| f32::from(v) * SCALE);
        let x = if at == 20_000 { String::new() } else { x.to_string() };
        text += &format!("{:.6},a,{x},{y},{z}\n", 1e6 + at as f64 / RATE);
    }
    std::fs::write(&table, text).unwrap();
    let columns = Columns { channels: ["x", "y", "5"].map(str::to_owned).to_vec(), time: Some("t".into()) };
    let answers = streamed(&table, columns, &[], &[]);
    assert_eq!((answers.missing, answers.gaps), (1, 2));
    let parts = [&counts[..8000], &counts[9600..20_000], &counts[20_001..]];
    let windows: Vec<f32> = parts.iter().flat_map(|part| vibration::cut(part).flatten()).collect();
    let expected = assigned("vibration.cvi", &Frames { shape: SHAPE, values: windows, labels: None });
    let found: Vec<Option<usize>> = answers.windows.iter().map(|answer| answer.cluster).collect();
    assert_eq!(found, expected.iter().map(|a| Some(a.cluster)).collect::<Vec<_>>());
    assert!(answers.windows.iter().all(|answer| answer.time >= 1e6));
}
