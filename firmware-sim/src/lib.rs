#![doc = include_str!("../README.md")]
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
pub use queue::{FrameQueue, TimedFrame};
pub use sample_loop::{Event, Frame, SampleLoop, StartError};
pub use settings::{Settings, SettingsError};
pub use slots::{Boot, Layout, MappedFlash, Reason, SlotError, Slots};
pub use summary::{OtherModel, Summary};
pub use votes::Tracker;
pub use window::{Window, WindowError};
