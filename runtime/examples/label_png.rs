//! Labels a PNG with the shipped digits model:
//! `cargo run --release -p runtime --example label_png -- models/digit.png`

use std::error::Error;

use runtime::Engine;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: label_png FILE.png [MODEL.onnx]")?;
    let model = std::env::args().nth(2).unwrap_or_else(|| "models/digits.onnx".into());
    let mut engine = Engine::load(model)?;
    let image = image::open(path)?.to_luma8();
    let assignment = engine.assign_u8(image.as_raw())?;
    println!(
        "cluster {} with confidence {:.4} (runner-up {:?}), novelty {:.2} nats{}",
        assignment.cluster,
        assignment.confidence,
        assignment.runner_up,
        assignment.novelty,
        if assignment.is_novel { ": unlike the training frames" } else { "" }
    );
    Ok(())
}
