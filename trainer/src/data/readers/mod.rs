//! Frames from files, a reader a format.

mod csv;
pub mod digits;
mod error;
mod idx;
mod images;
mod npy;
mod open;
mod value;

pub use csv::Columns;
pub use error::{ReadError, ReadProblem};
pub use npy::{write_npy, write_npy_frames};
pub use open::{Role, Table, open, open_table, parts};
