//! Sound from WAV files to the device: command line, graph, tract, native engine and stream see the same pictures.
#![expect(clippy::unwrap_used, reason = "a helper that fails is the test's own message")]

#[path = "../common/command.rs"]
#[expect(dead_code, reason = "another model is fitted")]
mod command;
#[path = "../common/graph.rs"]
mod graph;

use std::f32::consts::TAU;
use std::path::Path;

use burn::tensor::Device;
use command::{fails, stdout, trainer};
use firmware_sim::host::device::StreamModel;
use firmware_sim::host::recording::Columns;
use firmware_sim::host::stream::{StreamArgs, stream};
use graph::{close, of_graph};
use hound::{SampleFormat, WavReader, WavSpec, WavWriter};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use runtime::flash::{Buffer, FlashModel};
use runtime::onnx::names;
use runtime::{Engine, Measure, Precision};
use trainer::data::{Frames, FrontEnd, Source as _, write_npy};
use trainer::eval::{Exported, predict, scores};
use trainer::explain;
use trainer::export::{self, encode};
use trainer::frame::FrameShape;
use trainer::run;

const KINDS: [&str; 3] = ["hum", "noise", "sweep"];
const FILES: usize = 8;
const SECONDS: usize = 3;

/// Files of three kinds at any pitch and level, in a folder each.
fn write_sound(folder: &Path, rate: u32, channels: u16) {
    let mut rng = ChaCha8Rng::seed_from_u64(u64::from(rate));
    let spec = WavSpec { channels, sample_rate: rate, bits_per_sample: 16, sample_format: SampleFormat::Int };
    for kind in KINDS {
        std::fs::create_dir_all(folder.join(kind)).unwrap();
        for file in 0..FILES {
            let mut writer = WavWriter::create(folder.join(kind).join(format!("{file}.wav")), spec).unwrap();
            let (hertz, level) = (200.0 + 150.0 * rng.random::<f32>(), 0.1 + 0.3 * rng.random::<f32>());
            let mut turns = 0.0;
            for n in 0..SECONDS * rate as usize {
                let ramp = (3.0 * n as f32 / rate as f32 + file as f32 / 8.0).fract();
                turns = (turns + if kind == "hum" { hertz } else { 300.0 + 1400.0 * ramp } / rate as f32).fract();
                let noise = rng.random::<f32>() - 0.5;
                let value = if kind == "noise" { noise } else { (TAU * turns).sin() + 0.1 * noise };
                for channel in 0..channels {
                    let value = level * value / f32::from(channel + 1);
                    writer.write_sample((value * 32767.0) as i16).unwrap();
                }
            }
            writer.finalize().unwrap();
        }
    }
}

fn fit(data: &str, out: &str, more: &[&str]) -> String {
    let small = [
        "clusters=3",
        "latent=4",
        "encoder.channels=[4,8]",
        "encoder.hidden=[32]",
        "decoder.hidden=[32]",
        "pretrain.starts=1",
        "confidence.halves=0",
        "pretrain.steps=120",
        "refine.steps=60",
        "pretrain.learning_rate=3e-3",
        "pretrain.batch=32",
        "refine.batch=32",
        "collapse.information=0",
    ];
    let set: Vec<&str> = small.iter().flat_map(|setting| ["--set", setting]).collect();
    let fit = ["fit", "--device", "cpu", "--data", data, "--window", "1s", "--hop", "500ms", "--out", out];
    let output = trainer(&[&fit[..], &set, more].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The samples of a WAV file `[T,C]`, as shares of full scale.
fn samples(path: &Path) -> Vec<f32> {
    WavReader::open(path).unwrap().into_samples::<i16>().map(|v| f32::from(v.unwrap()) / 32768.0).collect()
}

/// A column of what `predict` printed.
fn column(csv: &str, name: &str) -> Vec<String> {
    let at = csv.lines().next().unwrap().split(',').position(|title| title == name).unwrap();
    csv.lines().skip(1).map(|line| line.split(',').nth(at).unwrap().to_owned()).collect()
}

#[test]
fn a_folder_of_sound_becomes_a_model_that_every_engine_and_the_device_run_alike() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (data, out, files) = (path("sound"), path("run"), path("files"));
    write_sound(Path::new(&data), 8000, 1);
    let told = fit(&data, &out, &[]);
    assert!(told.contains("sound: WAV of 8000 samples a second"), "{told}");
    assert!(told.contains("24 mel bands over 24 steps"), "{told}");
    stdout(&["export", &out, "--out", &files]);

    // What every engine says, by the command line.
    let labels: Vec<u32> = (0..3u32).flat_map(|kind| [kind; 5 * FILES]).collect();
    let all = [out.clone(), path("files/model.onnx"), path("files/model.cvi")]
        .map(|model| stdout(&["predict", &model, "--data", &data]));
    let clusters: Vec<usize> = column(&all[0], "cluster").iter().map(|text| text.parse().unwrap()).collect();
    let found = scores(&clusters, &labels);
    assert!(found.acc > 0.95, "{found:?}");
    for other in &all[1..] {
        assert_eq!(column(other, "cluster"), column(&all[0], "cluster"));
        assert_eq!(column(other, "end"), column(&all[0], "end"));
    }

    // What every engine sees.
    let model = run::load(Path::new(&out), &Device::flex()).unwrap();
    let Some(FrontEnd::LogMel(log_mel)) = &model.front_end else { panic!("{:?}", model.front_end) };
    assert_eq!(model.model.encoder.convs.len(), 2);
    assert_eq!((log_mel.rate, log_mel.length, model.inner_shape().len()), (8000.0, 256, 24 * 24));
    let file = samples(&Path::new(&data).join("sweep/3.wav"));
    let windows: Vec<f32> = (0..5).flat_map(|n| file[4000 * n..][..8000].to_vec()).collect();
    let shape = FrameShape { channels: 1, height: 1, width: 8000 };
    let frames = Frames { shape, values: windows, labels: None };
    let pictures = model.features(&frames).unwrap().all().unwrap().values;
    let prepared = model.prepare(&frames).unwrap().all().unwrap().values;
    assert!(prepared.iter().all(|v| v.abs() < 30.0));
    let expected = predict(&model, &frames, &Device::flex()).unwrap();
    for precision in [export::Precision::F32, export::Precision::F16] {
        let bytes = encode(&model, precision).unwrap();
        close(&of_graph(&bytes, &frames, names::FEATURES), &pictures, 1e-4, "pictures of the graph");
        close(&of_graph(&bytes, &frames, "scaled"), &prepared, 1e-4, "prepared by the graph");
        for arithmetic in [Precision::F32, Precision::F16, Precision::Fused] {
            let mut engine = Engine::from_bytes(&bytes, arithmetic).unwrap();
            assert_eq!((engine.shape().len(), engine.input_shape().len()), (8000, 576));
            let by_engine = engine.front_end().unwrap();
            assert!(matches!(by_engine.feature(30).unwrap().measure, Measure::Sound { .. }));
            for (n, assignment) in engine.assign_batch(&frames.values).unwrap().iter().enumerate() {
                assert_eq!(assignment.cluster, expected.clusters[n], "{precision:?} {arithmetic:?}, window {n}");
            }
        }
    }
    let bytes = Buffer::read(path("files/model.cvi")).unwrap();
    let image = FlashModel::new(&bytes).unwrap();
    let front_end = image.front_end().unwrap();
    let (mut picture, mut work) = (vec![0.0; 576], vec![0.0; front_end.work()]);
    assert!(front_end.apply(frames.frame(2).iter().copied(), &mut picture, &mut work));
    close(&picture, &pictures[2 * 576..3 * 576], 1e-6, "picture of the image");

    // What the device says of the file, sample by sample.
    let recording = folder.path().join("sweep.npy");
    std::fs::write(&recording, write_npy(&file, 1).unwrap()).unwrap();
    let args = StreamArgs { recording, columns: Columns::default(), scale: vec![], quantise: vec![] };
    let answers = stream(&StreamModel::new(&bytes).unwrap(), &args).unwrap();
    let assigned = Exported::open(Path::new(&path("files/model.cvi"))).unwrap().assign(&frames, "windows").unwrap();
    assert_eq!(answers.windows.len(), 5);
    for (answer, expected) in answers.windows.iter().zip(&assigned) {
        assert_eq!(answer.cluster, Some(expected.cluster));
        assert!((answer.novelty.unwrap() - expected.novelty).abs() < 1e-3 * (1.0 + expected.novelty.abs()));
    }

    // What people are told.
    let names = explain::names(&model).unwrap();
    assert_eq!(names.len(), 576);
    assert!(names[0].contains(" Hz, 0.00 to "), "{}", names[0]);
    let output = trainer(&["explain", &out, "--data", &data, "--index", "0", "--out", &path("maps")]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && told.contains(" Hz, "), "{told}");
    stdout(&["report", &out, "--data", &data, "--out", &path("report.html")]);
    let html = std::fs::read_to_string(path("report.html")).unwrap();
    assert!(html.contains("from low bands at the bottom"));
}

#[test]
fn what_is_no_sound_keeps_its_front_end_and_what_cannot_be_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (data, slow) = (path("stereo"), path("slow"));
    write_sound(Path::new(&data), 11_025, 2);
    let few = ["--set", "encoder.channels=auto", "--set", "pretrain.steps=3", "--set", "refine.steps=3"];
    // Two channels lie one above the other.
    let told = fit(&data, &path("run"), &few);
    assert!(told.contains("64 mel bands over 24 steps"), "{told}");
    let model = run::load(Path::new(&path("run")), &Device::flex()).unwrap();
    assert_eq!(model.inner_shape(), FrameShape { channels: 1, height: 64, width: 24 });
    assert!(model.model.encoder.convs.is_empty());
    let file = samples(&Path::new(&data).join("hum/0.wav"));
    let planes = (0..2).flat_map(|channel| file.iter().skip(channel).step_by(2).take(11_025).copied());
    let shape = FrameShape { channels: 2, height: 1, width: 11_025 };
    let frames = Frames { shape, values: planes.collect(), labels: None };
    let pictures = model.features(&frames).unwrap().all().unwrap().values;
    let bytes = encode(&model, export::Precision::F16).unwrap();
    close(&of_graph(&bytes, &frames, names::FEATURES), &pictures, 1e-4, "pictures of the graph");
    let told = fit(&data, &path("spectral"), &[&few[..], &["--set", "frontend=none"]].concat());
    assert!(!told.contains("mel bands"), "{told}");
    // A slow WAV is a vibration; its spectrum is asked for by nobody but the rules of windows.
    write_sound(Path::new(&slow), 1000, 1);
    assert!(!fit(&slow, &path("vibration"), &few).contains("mel bands"));
    let asked = ["fit", "--data", &slow, "--window", "1s", "--out", &path("none"), "--set", "frontend=log-mel"];
    fails(&asked, 2, "a rate of 4 to 96 kHz");
    let rows = path("rows.csv");
    command::write_csv(Path::new(&rows));
    fails(&["fit", "--data", &rows, "--set", "frontend=log-mel"], 2, "log-mel needs windows");
}
