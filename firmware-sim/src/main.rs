//! Replays the embedded digits through the device's loop on the host:
//! `cargo run --release -p firmware-sim [MODEL.onnx]`

use std::error::Error;
use std::io::Read;
use std::time::Instant;

use firmware_sim::{Event, SampleLoop};
use runtime::Engine;

static DIGITS: &[u8] = include_bytes!("../../trainer/assets/mnist/t10k-images-idx3-ubyte.gz");
/// Bytes of the IDX header before the first image.
const HEADER: usize = 16;
/// How often the simulated sensor is read, milliseconds.
const PERIOD: u64 = 20;
/// Each digit stays in front of the sensor for this many frames.
const REPEATS: usize = 4;

fn main() -> Result<(), Box<dyn Error>> {
    let model = std::env::args().nth(1).unwrap_or_else(|| "models/digits.onnx".into());
    let mut engine = Engine::load(model)?;
    let mut digits = Vec::new();
    flate2::read::GzDecoder::new(DIGITS).read_to_end(&mut digits)?;
    let mut device = SampleLoop::<3, 2>::default();
    let mut decisions = 0;
    let started = Instant::now();
    let frames = digits[HEADER..].chunks_exact(engine.shape().len()).flat_map(|frame| [frame; REPEATS]);
    for (tick, frame) in frames.enumerate() {
        let assignment = engine.assign_u8(frame);
        let event = device.step(tick as u64 * PERIOD, assignment.as_ref().map_err(|e| *e));
        decisions += usize::from(matches!(event, Event::Decided { .. }));
    }
    let seconds = started.elapsed().as_secs_f64();
    let counters = device.counters();
    println!("frames     {}", counters.frames);
    println!("per second {:.0} on this host", f64::from(counters.frames) / seconds);
    println!("refused    {}", counters.refused);
    println!("novel      {}", counters.novel);
    println!("decisions  {decisions}, by cluster {:?}", &counters.decisions[..engine.clusters()]);
    Ok(())
}
