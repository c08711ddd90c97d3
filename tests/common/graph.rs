//! Outputs of an exported graph as any engine would give them, and how near numbers are.
#![expect(clippy::unwrap_used, reason = "a helper that fails is the test's own message")]

use tract_onnx::prelude::*;
use trainer::data::Frames;
use trainer::frame::FrameShape;

/// An output of the whole graph, run by tract as any engine would, in f32.
pub fn of_graph(bytes: &[u8], frames: &Frames, name: &str) -> Vec<f32> {
    let FrameShape { channels, height, width } = frames.shape;
    let dims = [frames.len(), channels, height, width];
    let model = onnx().model_for_read(&mut &bytes[..]).unwrap();
    let model = model.with_outputs_by_name([name]).unwrap().with_input_fact(0, f32::fact(dims).into()).unwrap();
    let plan = model.into_optimized().unwrap().into_runnable().unwrap();
    let results = plan.run(tvec!(Tensor::from_shape(&dims, &frames.values).unwrap().into())).unwrap();
    results[0].to_plain_array_view::<f32>().unwrap().iter().copied().collect()
}

pub fn close(found: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (at, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!((a - b).abs() < tolerance * (1.0 + b.abs()), "{what}, {at}: {a} {b}");
    }
}
