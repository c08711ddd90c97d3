//! Time from a file to the first answer, and memory: each engine in a process of its own.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use runtime::flash::{Buffer, FlashModel};
use runtime::{Engine, native};

use crate::peers::{OnnxRuntime, Peer};
use crate::shapes::Shape;

/// First argument of the process that loads.
pub const FLAG: &str = "--load";
const ENGINES: [&str; 3] = [crate::REFERENCE, "tract f32", "native"];
const ROUNDS: usize = 5;

/// Loads the model in `folder`, answers once, and prints microseconds and KiB.
pub fn measure(engine: &str, folder: &str) {
    let folder = Path::new(folder);
    let frame: Vec<f32> = std::fs::read(folder.join("frame"))
        .unwrap_or_default()
        .as_chunks()
        .0
        .iter()
        .map(|b| f32::from_le_bytes(*b))
        .collect();
    let before = peak_memory();
    let started = Instant::now();
    let answered = match engine {
        crate::REFERENCE => std::fs::read(folder.join("model.onnx"))
            .ok()
            .and_then(|bytes| OnnxRuntime::new(&bytes).ok())
            .is_some_and(|mut peer| peer.run(&frame, 1)),
        "tract f32" => Engine::load(folder.join("model.onnx")).is_ok_and(|mut e| e.assign(&frame).is_ok()),
        _ => Buffer::read(folder.join("model.cvi")).is_ok_and(|bytes| {
            FlashModel::new(&bytes).is_ok_and(|image| {
                let mut scratch = vec![0.0; native::scratch_len(&image)];
                native::Engine::new(image, &mut scratch).is_ok_and(|mut e| e.assign(&frame).is_ok())
            })
        }),
    };
    if answered {
        println!("{} {}", started.elapsed().as_micros(), peak_memory().saturating_sub(before));
    }
}

/// Most memory that was resident, KiB; Linux tells.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|rest| rest.split_whitespace().next()).and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// Markdown of what every engine takes, medians.
pub fn table(shape: &Shape, folder: &Path) -> std::io::Result<String> {
    let frame: Vec<u8> = shape.frames[..shape.length()].iter().flat_map(|v| v.to_le_bytes()).collect();
    for (name, bytes) in [("model.onnx", &shape.onnx), ("model.cvi", &shape.image), ("frame", &frame)] {
        std::fs::write(folder.join(name), bytes)?;
    }
    let mut found = vec![Vec::new(); ENGINES.len()];
    for _ in 0..ROUNDS {
        for (engine, found) in ENGINES.iter().zip(&mut found) {
            let output = Command::new(std::env::current_exe()?).arg(FLAG).arg(engine).arg(folder).output()?;
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let numbers: Vec<u64> = text.split_whitespace().filter_map(|n| n.parse().ok()).collect();
            if let [micros, memory] = numbers[..] {
                found.push([micros, memory]);
            }
        }
    }
    let mut text = format!("\n| {} | file to first answer | memory for it | file |\n|---|---|---|---|\n", shape.name);
    for (engine, mut found) in ENGINES.iter().zip(found) {
        let size = if *engine == "native" { shape.image.len() } else { shape.onnx.len() };
        found.sort_unstable();
        if let Some([micros, memory]) = found.get(found.len() / 2) {
            let _ = writeln!(text, "| {engine} | {:.2} ms | {memory} KiB | {size} bytes |", *micros as f64 / 1e3);
        }
    }
    Ok(text)
}
