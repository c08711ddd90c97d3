//! Values from files as they are stored, a reader a format.

mod columnar;
pub mod digits;
mod error;
mod find;
mod idx;
mod in_files;
mod known;
mod labels;
mod npy;
mod open;
mod pictures;
mod raw;
mod recordings;
mod stored;
mod table;
mod value;
mod values;

pub use error::{ReadError, ReadProblem};
pub use find::few;
pub use npy::{write_npy, write_npy_frames};
pub use open::{Role, parts, read, read_bytes};
pub use pictures::{PictureOptions, Size};
pub use raw::Raw;
pub use recordings::RecordingOptions;
pub use stored::{Array, Stored};
pub use table::TableOptions;
pub use value::Value;
pub use values::Values;
