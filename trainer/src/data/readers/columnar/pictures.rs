//! Pictures as the files that they were, a row each: bytes, or a structure with a field of that name.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_schema::{ArrowError, DataType};

/// The bytes of a file a row; None where there is none.
pub type Files = Vec<Option<Vec<u8>>>;

/// The bytes of each row of a column of pictures; None if it holds something else.
pub fn files(column: &ArrayRef) -> Result<Option<Files>, ArrowError> {
    let bytes = match column.data_type() {
        DataType::Struct(_) => column.as_struct().column_by_name("bytes").cloned(),
        _ => Some(column.clone()),
    };
    let is_bytes = |kind: &DataType| matches!(kind, DataType::Binary | DataType::LargeBinary | DataType::BinaryView);
    let Some(bytes) = bytes.filter(|bytes| is_bytes(bytes.data_type())) else { return Ok(None) };
    let bytes = arrow_cast::cast(&bytes, &DataType::LargeBinary)?;
    let files: Files = bytes.as_binary::<i64>().iter().map(|file| file.map(<[u8]>::to_vec)).collect();
    let first = files.iter().flatten().next();
    Ok(first.is_some_and(|file| image::guess_format(file).is_ok()).then_some(files))
}
