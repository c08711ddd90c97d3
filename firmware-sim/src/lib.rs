//! What a device does with a stream of frames: it queues them, assigns them, smooths decisions,
//! raises alarms, counts, and, if asked to, follows a drift; and how it updates its model in flash.
//!
//! [`SampleLoop::step`] is the door. Nothing here needs `std`, reads a clock or a file, allocates,
//! or panics, whatever the frames: time and frames are passed in.
//!
//! ```text
//! interrupt: sample ─► Window ─► FrameProducer ─ queue ─► SampleLoop::poll ─► Event
//!                                                            SampleLoop::step ┘
//! ```
#![cfg_attr(not(feature = "host"), no_std)]

pub mod adapt;
pub mod queue;
mod sample_loop;
mod settings;
pub mod slots;
mod summary;
mod votes;
mod window;

#[cfg(feature = "host")]
pub mod host;

pub use adapt::{AdaptSettings, Adaptation};
pub use queue::FrameQueue;
pub use sample_loop::{Event, Frame, SampleLoop, StartError};
pub use settings::{Settings, SettingsError};
pub use slots::{Boot, Layout, MappedFlash, Reason, SlotError, Slots};
pub use summary::{OtherModel, Summary};
pub use votes::Tracker;
pub use window::{Window, WindowError};
