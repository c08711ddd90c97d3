//! The engines that are compared, behind one trait.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use burn::module::Module;
use burn::tensor::Device;
use ort::environment::Environment;
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{IoBinding, Session};
use ort::value::Tensor;
use runtime::flash::{Buffer, FlashModel};
use runtime::onnx::names::{INPUT as FRAME, NOVELTY, RESPONSIBILITIES};
use runtime::{Assignment, Engine, Precision, native};
use trainer::data::Frames;
use trainer::device::{self, Kind};
use trainer::eval::{Predictions, predict};
use trainer::fitted::Fitted;

use crate::shapes::Shape;

/// What a peer says of a frame.
pub struct Answer {
    pub cluster: usize,
    pub responsibilities: Vec<f32>,
}

/// An engine with a model loaded.
pub trait Peer {
    fn name(&self) -> String;
    /// Whether it is one of this crate's.
    fn own(&self) -> bool {
        false
    }
    /// The whole answer for `count` frames, in whatever form the engine gives it; true if there is one.
    fn run(&mut self, frames: &[f32], count: usize) -> bool;
    /// The answers, in the form that they are compared in.
    fn answers(&mut self, frames: &[f32], count: usize) -> Vec<Answer>;
}

/// All peers that this machine has, the trained model first, and why others are left out.
pub fn all(shape: &Shape) -> (Vec<Box<dyn Peer>>, Vec<String>) {
    let mut peers: Vec<Box<dyn Peer>> =
        vec![Box::new(Burn { fitted: shape.fitted.clone(), device: Device::flex(), name: "Burn flex".into() })];
    let mut missing = Vec::new();
    match device::choose(Kind::Gpu.into()) {
        Ok(gpu) => {
            let mut fitted = shape.fitted.clone();
            fitted.model = fitted.model.to_device(&gpu.device);
            peers.push(Box::new(Burn { fitted, device: gpu.device, name: format!("Burn {}", gpu.name) }));
        }
        Err(error) => missing.push(format!("Burn wgpu: {error}")),
    }
    match OnnxRuntime::new(&shape.onnx) {
        Ok(peer) => peers.push(Box::new(peer)),
        Err(error) => missing.push(format!("ONNX Runtime: {error}; tests/run installs it")),
    }
    for (name, precision, onnx) in [
        ("tract f32", Precision::F32, &shape.onnx),
        ("tract f16", Precision::F16, &shape.onnx_f16),
        ("tract fused", Precision::Fused, &shape.onnx_f16),
    ] {
        match Engine::from_bytes(onnx, precision) {
            Ok(engine) => peers.push(Box::new(Tract { name, engine })),
            Err(error) => missing.push(format!("{name}: {error}")),
        }
    }
    match Native::new(&shape.image) {
        Ok(peer) => peers.push(Box::new(peer)),
        Err(error) => missing.push(format!("native: {error}")),
    }
    (peers, missing)
}

/// The training framework's model.
struct Burn {
    fitted: Fitted,
    device: Device,
    name: String,
}

impl Burn {
    fn predict(&self, frames: &[f32]) -> Result<Predictions, trainer::Error> {
        let frames = Frames { shape: self.fitted.shape, values: frames.to_vec(), labels: None };
        predict(&self.fitted, &frames, &self.device)
    }
}

impl Peer for Burn {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn run(&mut self, frames: &[f32], _: usize) -> bool {
        black_box(self.predict(frames)).is_ok()
    }

    fn answers(&mut self, frames: &[f32], _: usize) -> Vec<Answer> {
        let Ok(Predictions { clusters, log_responsibilities, .. }) = self.predict(frames) else { return Vec::new() };
        let k = self.fitted.config.clusters();
        let rows = log_responsibilities.chunks_exact(k).map(|row| row.iter().map(|v| v.exp()).collect());
        clusters.into_iter().zip(rows).map(|(cluster, responsibilities)| Answer { cluster, responsibilities }).collect()
    }
}

/// ONNX Runtime at its best: all graph optimisations, one thread, inputs and outputs bound to memory of their own, and
/// no output but those that an answer needs.
pub struct OnnxRuntime {
    session: Session,
    dims: [usize; 3],
    clusters: usize,
    bound: Option<Bound>,
}

/// What a number of frames is bound to.
struct Bound {
    count: usize,
    binding: IoBinding,
    input: Tensor<f32>,
}

/// The shared library that PyPI's wheel carries, where `tests/run` puts it.
pub fn onnx_runtime_library() -> Option<PathBuf> {
    let target = std::env::current_exe().ok()?.ancestors().find(|p| p.join("onnx-python").exists())?.to_owned();
    let under = |folder: &Path, name: &str| -> Option<PathBuf> {
        let mut entries: Vec<_> = std::fs::read_dir(folder).ok()?.flatten().map(|e| e.path()).collect();
        entries.sort();
        entries.into_iter().find(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with(name)))
    };
    let python = under(&target.join("onnx-python/lib"), "python3")?;
    under(&python.join("site-packages/onnxruntime/capi"), "libonnxruntime.so")
}

impl OnnxRuntime {
    pub fn new(onnx: &[u8]) -> Result<Self, String> {
        let library = onnx_runtime_library().ok_or("no shared library of the PyPI wheel beside the build")?;
        let fault = |e: &dyn std::fmt::Display| e.to_string();
        // A process may have one.
        static ENVIRONMENT: OnceLock<Result<Environment, String>> = OnceLock::new();
        let make = || ort::init_from(library).map_err(|e| fault(&e))?.build().map_err(|e| fault(&e));
        let environment = ENVIRONMENT.get_or_init(make).as_ref().map_err(Clone::clone)?;
        let session = Session::builder(environment)
            .and_then(|b| Ok(b.with_optimization_level(GraphOptimizationLevel::Level3)?))
            .and_then(|b| Ok(b.with_intra_threads(1)?))
            .and_then(|mut b| b.commit_from_memory(onnx))
            .map_err(|e| fault(&e))?;
        let shape = session.inputs()[0].dtype().tensor_shape().ok_or("its input is no tensor")?;
        let dims = [shape[1] as usize, shape[2] as usize, shape[3] as usize];
        let outputs = session.outputs().iter().find(|output| output.name() == RESPONSIBILITIES);
        let shape = outputs.and_then(|output| output.dtype().tensor_shape()).ok_or("it gives no responsibilities")?;
        let clusters = shape[1] as usize;
        Ok(Self { session, dims, clusters, bound: None })
    }

    /// Answers; `read` gets the responsibilities `[N,K]`.
    fn answer<R>(&mut self, frames: &[f32], count: usize, read: impl FnOnce(&[f32]) -> R) -> ort::Result<R> {
        if self.bound.as_ref().is_none_or(|bound| bound.count != count) {
            let [c, h, w] = self.dims;
            let memory = self.session.allocator();
            let input = Tensor::<f32>::new(memory, [count, c, h, w])?;
            let responsibilities = Tensor::<f32>::new(memory, [count, self.clusters])?;
            let novelty = Tensor::<f32>::new(memory, [count])?;
            let mut binding = self.session.create_binding()?;
            binding.bind_input(FRAME, &input)?;
            binding.bind_output(RESPONSIBILITIES, responsibilities)?;
            binding.bind_output(NOVELTY, novelty)?;
            self.bound = Some(Bound { count, binding, input });
        }
        let Some(bound) = &mut self.bound else { unreachable!("bound just now") };
        bound.input.extract_tensor_mut().1.copy_from_slice(frames);
        let outputs = self.session.run_binding(&bound.binding)?;
        let (_, values) = outputs[RESPONSIBILITIES].try_extract_tensor::<f32>()?;
        Ok(read(values))
    }
}

impl Peer for OnnxRuntime {
    fn name(&self) -> String {
        crate::REFERENCE.into()
    }

    fn run(&mut self, frames: &[f32], count: usize) -> bool {
        self.answer(frames, count, |values| black_box(values).len()).is_ok()
    }

    fn answers(&mut self, frames: &[f32], count: usize) -> Vec<Answer> {
        let k = self.clusters;
        let answer = |row: &[f32]| Answer { cluster: argmax(row), responsibilities: row.to_vec() };
        let answers = self.answer(frames, count, |values| values.chunks_exact(k).map(answer).collect());
        answers.unwrap_or_default()
    }
}

fn argmax(row: &[f32]) -> usize {
    row.iter().enumerate().fold(0, |best, (i, v)| if *v > row[best] { i } else { best })
}

fn answer(assignment: &Assignment) -> Answer {
    Answer { cluster: assignment.cluster, responsibilities: assignment.responsibilities().collect() }
}

struct Tract {
    name: &'static str,
    engine: Engine,
}

impl Peer for Tract {
    fn name(&self) -> String {
        self.name.into()
    }

    fn own(&self) -> bool {
        true
    }

    fn run(&mut self, frames: &[f32], count: usize) -> bool {
        match count {
            1 => black_box(self.engine.assign(frames)).is_ok(),
            _ => black_box(self.engine.assign_batch(frames)).is_ok(),
        }
    }

    fn answers(&mut self, frames: &[f32], count: usize) -> Vec<Answer> {
        let found = match count {
            1 => self.engine.assign(frames).map(|a| vec![a]),
            _ => self.engine.assign_batch(frames),
        };
        found.unwrap_or_default().iter().map(answer).collect()
    }
}

/// The flash image; it lives as long as the program, as it would in flash.
struct Native {
    engine: native::Engine<'static>,
    batch: native::Batch<'static>,
}

impl Native {
    fn new(bytes: &[u8]) -> Result<Self, String> {
        let bytes: &'static Buffer = Box::leak(Box::new(Buffer::copy_of(bytes)));
        let image = FlashModel::new(bytes).map_err(|e| e.to_string())?;
        let scratch = vec![0.0; native::scratch_len(&image)].leak();
        let engine = native::Engine::new(image, scratch).map_err(|e| e.to_string())?;
        Ok(Self { batch: native::Batch::from(&engine), engine })
    }
}

impl Peer for Native {
    fn name(&self) -> String {
        format!("native ({})", self.engine.kernel().name())
    }

    fn own(&self) -> bool {
        true
    }

    fn run(&mut self, frames: &[f32], count: usize) -> bool {
        match count {
            1 => black_box(self.engine.assign(frames)).is_ok(),
            _ => black_box(self.batch.assign(frames)).is_ok(),
        }
    }

    fn answers(&mut self, frames: &[f32], count: usize) -> Vec<Answer> {
        let found = match count {
            1 => self.engine.assign(frames).map(|a| vec![a]),
            _ => self.batch.assign(frames),
        };
        found.unwrap_or_default().iter().map(answer).collect()
    }
}
