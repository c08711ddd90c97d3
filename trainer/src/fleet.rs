//! The fleet of machines that `trainer demo --data vibration` fits to and judges by; [`vibration`] has the equations.

use std::io::{Cursor, Write};
use std::ops::Range;

use vibration::{CHANNELS, Fault, HOP, Machine, RATE, Recording, State, WINDOW, Windows};
use zip::write::FileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::data::{Frames, Windowing, write_npy, write_npy_frames};
use crate::error::{Error, Result};
use crate::frame::FrameShape;

/// The seed of the fleet, whatever that of the training is.
const SEED: u64 = 0;
/// Machines that the model is fitted to.
pub const FITTED: Range<u64> = 0..192;
/// Machines that it never sees, which it is judged by.
pub const OTHERS: Range<u64> = 192..240;
/// Seconds of each machine in each state.
const SECONDS: f64 = 1.0;
/// Seconds of each part of the recording.
const PART: f64 = 4.0;
/// Shape of a window.
pub const SHAPE: FrameShape = FrameShape { channels: CHANNELS, height: 1, width: WINDOW };

/// How the windows were cut, for the model to keep.
pub fn windowing() -> Windowing {
    let (time, recording) = (None, None);
    Windowing { window: WINDOW, hop: HOP, rate: Some(RATE), time, recording, resampled: false }
}

/// The bytes of an .npz of windows: `x_train` of the machines to fit to, `x_test` of the others, and their states `y_train`
/// and `y_test`, which only score.
///
/// # Errors
/// [`Error::Resource`] if memory cannot be written to.
pub fn archive() -> Result<Vec<u8>> {
    let fault = |e: &dyn std::fmt::Display| Error::resource("npz", e);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = FileOptions::default().compression_method(CompressionMethod::Stored);
    for (part, machines) in [("train", FITTED), ("test", OTHERS)] {
        let windows = sound(machines);
        let states: Vec<f32> = windows.labels.iter().flatten().map(|state| *state as f32).collect();
        for (name, bytes) in [("x", write_npy_frames(&windows.values, SHAPE)?), ("y", write_npy(&states, 1)?)] {
            zip.start_file(format!("{name}_{part}.npy"), stored).map_err(|e| fault(&e))?;
            zip.write_all(&bytes).map_err(|e| fault(&e))?;
        }
    }
    zip.finish().map(Cursor::into_inner).map_err(|e| fault(&e))
}

/// Windows of sound machines and their states.
fn sound(machines: Range<u64>) -> Frames {
    frames(Windows::sound(SEED, machines, SECONDS))
}

/// Windows of the machines that the model never sees, sound.
pub fn others() -> Frames {
    sound(OTHERS)
}

/// Windows of the same machines with a fault.
pub fn faulty(fault: Fault) -> Frames {
    frames(Windows::faulty(SEED, OTHERS, SECONDS, fault))
}

fn frames(Windows { values, states }: Windows) -> Frames {
    Frames { shape: SHAPE, values, labels: Some(states) }
}

/// A recording of a machine that the model never sees, in counts of the sensor: every state in turn, the last one again with
/// a pit in a bearing.
pub fn recording() -> Vec<[i16; CHANNELS]> {
    let machine = Machine::of_fleet(SEED, OTHERS.start);
    let parts = State::ALL.map(|state| (state, None)).into_iter().chain([(State::Loaded, Some(Fault::OuterRace))]);
    let samples = (PART * RATE) as usize;
    parts
        .flat_map(|(state, fault)| Recording::new(&machine, state, fault, 1).take(samples).collect::<Vec<_>>())
        .collect()
}
