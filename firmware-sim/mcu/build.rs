//! The models, 100 of the embedded digits, a stream of an accelerometer, and what the host's engines say of them.

use std::error::Error;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::{env, fs};

use runtime::flash::{Buffer, DecoderModel, DenseSpec, FlashModel, ModelSpec, encode};
use runtime::native::{DecoderEngine, Engine, decoder_scratch_len, scratch_len};
use runtime::{Assignment, Calibration, FrameShape, FrontEndSpec, SpectralSpec};
use vibration::{CHANNELS, Fault, Machine, Recording, SCALE, State};

/// Bytes of the IDX header before the first image.
const HEADER: usize = 16;
const DIGITS: usize = 100;
/// Samples of each part of the stream, a second.
const PART: usize = 1600;

fn main() -> Result<(), Box<dyn Error>> {
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(env::var("OUT_DIR")?);
    println!("cargo::rerun-if-env-changed=MODEL");
    let model = env::var("MODEL").map_or_else(|_| here.join("../../models/small.cvi"), PathBuf::from);
    let vibration = here.join("../../models/vibration.cvi");
    let digits = here.join("../../trainer/assets/mnist/t10k-images-idx3-ubyte.gz");
    for file in [&model, &vibration, &digits] {
        println!("cargo::rerun-if-changed={}", file.display());
    }

    let bytes = Buffer::read(&model).map_err(|e| format!("{}: {e}", model.display()))?;
    let image = FlashModel::new(&bytes).map_err(|e| format!("{}: {e}", model.display()))?;
    fs::copy(&model, out.join("model.cvi"))?;
    let pixels = image.shape().len();
    let mut idx = Vec::new();
    flate2::read::GzDecoder::new(fs::File::open(&digits)?).read_to_end(&mut idx)?;
    let digits = idx.get(HEADER..HEADER + DIGITS * pixels).ok_or("fewer digits than frames of this model")?;
    fs::write(out.join("digits.bin"), digits)?;
    write_expected(&out, image, digits)?;
    fs::write(out.join("window.cvi"), windows()?)?;
    write_stream(&out, &vibration)?;
    memory(&here, &out)
}

/// A Rust table of what the host's engine says of the digits.
fn write_expected(out: &Path, image: FlashModel<'_>, digits: &[u8]) -> Result<(), Box<dyn Error>> {
    let (clusters, pixels) = (image.head().clusters(), image.shape().len());
    let mut scratch = vec![0.0; scratch_len(&image)];
    let mut engine = Engine::new(image, &mut scratch)?;
    let answers = digits.chunks_exact(pixels).map(|digit| engine.assign_u8(digit)).collect::<Result<Vec<_>, _>>()?;
    let pixels = format!("/// Values of a frame.\npub const PIXELS: usize = {pixels};\n");
    Ok(fs::write(out.join("expected.rs"), pixels + &table(clusters, &answers))?)
}

/// The model of a machine's accelerometer, what that gives of a machine that it was not fitted to, in every state and then
/// with a pit in a bearing, and what the host's engine says of each window.
fn write_stream(out: &Path, path: &Path) -> Result<(), Box<dyn Error>> {
    let bytes = Buffer::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let model = DecoderModel::new(&bytes).map_err(|e| format!("{}: {e}", path.display()))?;
    fs::copy(path, out.join("vibration.cvi"))?;
    let machine = Machine::of_fleet(0, 1000);
    let parts = State::ALL.map(|state| (state, None)).into_iter().chain([(State::Loaded, Some(Fault::OuterRace))]);
    let samples: Vec<_> = parts
        .flat_map(|(state, fault)| Recording::new(&machine, state, fault, 0).take(PART).collect::<Vec<_>>())
        .collect();
    fs::write(
        out.join("stream.bin"),
        samples.iter().flatten().flat_map(|count| count.to_le_bytes()).collect::<Vec<_>>(),
    )?;
    let clusters = model.head().clusters();
    let mut scratch = vec![0.0; decoder_scratch_len(&model)];
    let mut engine = DecoderEngine::new(model, &mut scratch)?;
    let answers = vibration::cut(&samples).map(|window| engine.assign(&window)).collect::<Result<Vec<_>, _>>()?;
    let sensor = format!(
        "/// Axes.\npub const CHANNELS: usize = {CHANNELS};\n\
         /// What a count is worth of each axis, g.\npub static SCALE: [f32; CHANNELS] = {:?};\n",
        [SCALE; CHANNELS]
    );
    Ok(fs::write(out.join("stream.rs"), sensor + &table(clusters, &answers))?)
}

/// A Rust table of answers.
fn table(clusters: usize, answers: &[Assignment]) -> String {
    let mut table = format!(
        "/// Clusters K.\npub const CLUSTERS: usize = {clusters};\n\
         /// What the host says of each frame.\npub static EXPECTED: [Expected<CLUSTERS>; {}] = [\n",
        answers.len()
    );
    for a in answers {
        let responsibilities: Vec<f32> = a.responsibilities().collect();
        table += &format!(
            "    Expected {{ cluster: {}, novelty: {:?}, is_novel: {}, responsibilities: {responsibilities:?} }},\n",
            a.cluster, a.novelty, a.is_novel
        );
    }
    table + "];\n"
}

/// A model of windows with random weights, which says what the host says of a window of two tones.
fn windows() -> Result<Vec<u8>, Box<dyn Error>> {
    let mut state = 1u32;
    let mut random = |count: usize, scale: f32| -> Vec<f32> {
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            scale * ((state >> 8) as f32 / (1 << 23) as f32 - 1.0)
        };
        (0..count).map(|_| next()).collect()
    };
    let shape = FrameShape { channels: 6, height: 1, width: 100 };
    let front_end = FrontEndSpec::Spectral(SpectralSpec {
        shape,
        length: 128,
        window: SpectralSpec::hann(100),
        constants: [0.1, 0.9, 0.003].repeat(6),
        edges: SpectralSpec::bands(128, 8),
    });
    let mut dense = |inputs, outputs| DenseSpec {
        shape: [inputs, outputs],
        weight: random(inputs * outputs, 0.2),
        bias: random(outputs, 0.1),
    };
    let dense = vec![dense(60, 128), dense(128, 20)];
    let tone = |n: usize| (0.3 * n as f32).sin() + 0.5 * (1.7 * n as f32).cos();
    let mut spec = ModelSpec {
        shape,
        front_end: Some(front_end),
        scaling: Some([vec![0.2; 60], vec![0.8; 60]]),
        range: None,
        windowing: None,
        convs: Vec::new(),
        dense,
        learned_head: false,
        log_var_range: [-8.0, 4.0],
        mu_c: random(70, 1.0),
        log_var_c: vec![0.0; 7],
        log_weights: None,
        calibration: Calibration::threshold(50.0),
        golden_frame: (0..600).map(tone).collect(),
        golden_log_responsibilities: vec![0.0; 7],
        golden_novelty: 0.0,
        critic: None,
        decoder: None,
    };
    let bytes = Buffer::copy_of(&encode(&spec));
    let image = FlashModel::new(&bytes)?;
    let mut scratch = vec![0.0; scratch_len(&image)];
    let answer = Engine::new(image, &mut scratch)?.assign(&spec.golden_frame)?;
    spec.golden_log_responsibilities = answer.log_responsibilities.to_vec();
    spec.golden_novelty = answer.novelty;
    Ok(encode(&spec))
}

/// The linker finds the memory map of the board, and cortex-m-rt's script.
fn memory(here: &Path, out: &Path) -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed=BOARD");
    let map = here.join(env::var("BOARD").map(|board| board + ".x").unwrap_or_else(|_| "netduinoplus2.x".into()));
    println!("cargo::rerun-if-changed={}", map.display());
    if env::var("CARGO_CFG_TARGET_ARCH")? == "arm" {
        fs::copy(map, out.join("memory.x"))?;
        println!("cargo::rustc-link-search={}", out.display());
        println!("cargo::rustc-link-arg-bins=-Tlink.x");
        println!("cargo::rustc-link-arg-bins=--nmagic");
    }
    Ok(())
}
