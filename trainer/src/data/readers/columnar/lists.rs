//! Lists of one length as frames, a list a frame; lists of lists have an axis more.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_array::{Array as _, ArrayRef};
use arrow_schema::extension::{EXTENSION_TYPE_METADATA_KEY, EXTENSION_TYPE_NAME_KEY};
use arrow_schema::{DataType, Field};
use serde::Deserialize;

use super::super::ReadProblem;
use super::super::stored::{Array, Stored};
use super::plain;
use crate::data::layout::Layout;

/// Whether values of this type are lists of numbers, or lists of such lists.
pub fn is_frames(kind: &DataType) -> bool {
    use DataType::{Boolean, FixedSizeList, LargeList, LargeListView, List, ListView};
    match kind {
        List(of) | LargeList(of) | ListView(of) | LargeListView(of) | FixedSizeList(of, _) => {
            let of = of.data_type();
            of.is_numeric() || *of == Boolean || is_frames(of)
        }
        _ => false,
    }
}

/// What the extension type `arrow.fixed_shape_tensor` says of its lists.
#[derive(Deserialize)]
struct Tensor {
    shape: Vec<usize>,
    #[serde(default)]
    dim_names: Option<Vec<String>>,
    #[serde(default)]
    permutation: Option<Vec<usize>>,
}

/// The array `[N,...]` in a column of lists, and the meaning of its axes if the file names them.
pub fn unnested(field: &Field, column: &ArrayRef) -> Result<(Array, Option<Layout>), ReadProblem> {
    let mut sizes = vec![column.len()];
    let mut values = plain(column)?;
    while is_frames(values.data_type()) {
        let (size, inner) = inner(&values, &sizes)?;
        sizes.push(size);
        values = plain(&inner)?;
    }
    let array = Array { sizes, values: stored(&values)? };
    let metadata = field.metadata();
    if metadata.get(EXTENSION_TYPE_NAME_KEY).is_none_or(|name| name != "arrow.fixed_shape_tensor") {
        return Ok((array, None));
    }
    let text = metadata.get(EXTENSION_TYPE_METADATA_KEY).map_or("", String::as_str);
    let tensor: Tensor =
        serde_json::from_str(text).map_err(|e| format!("shape of \"{}\" as {text:?}: {e}", field.name()))?;
    tensor.shaped(array)
}

impl Tensor {
    /// The array with the axes of the tensor, in their logical order.
    fn shaped(&self, array: Array) -> Result<(Array, Option<Layout>), ReadProblem> {
        let rank = self.shape.len();
        let order = self.permutation.clone().unwrap_or_else(|| (0..rank).collect());
        let mut sorted = order.clone();
        sorted.sort_unstable();
        let count = self.shape.iter().try_fold(1usize, |count, &size| count.checked_mul(size));
        if count != array.sizes[1..].iter().try_fold(1usize, |count, &size| count.checked_mul(size))
            || !sorted.iter().copied().eq(0..rank)
        {
            let problem = format!("shape {:?} in order {order:?} of lists of {:?}", self.shape, &array.sizes[1..]);
            return Err(problem.into());
        }
        let sizes = [&array.sizes[..1], &self.shape[..]].concat();
        let axes: Vec<usize> = std::iter::once(0).chain(order.iter().map(|axis| axis + 1)).collect();
        let letter = |axis: &usize| {
            let name = self.dim_names.as_ref()?.get(*axis)?.to_ascii_lowercase();
            Some(match &*name {
                "c" | "channel" | "channels" => 'c',
                "h" | "height" | "y" => 'h',
                "w" | "width" | "x" => 'w',
                "t" | "time" => 't',
                _ => return None,
            })
        };
        let letters: Option<String> = order.iter().map(letter).collect();
        let layout = letters.and_then(|letters| format!("n{letters}").parse().ok());
        Ok((Array { sizes, values: array.values }.transposed(&axes), layout))
    }
}

/// The size of all lists, and what is in them one after the other; `sizes` are those of the axes around them.
fn inner(lists: &ArrayRef, sizes: &[usize]) -> Result<(usize, ArrayRef), ReadProblem> {
    let each: usize = sizes[1..].iter().product();
    let row = |list: usize| list / each.max(1) + 1;
    if let Some(list) = (0..lists.len()).find(|&list| lists.is_null(list)) {
        return Err(format!("row {}: null, expected a list; --missing drop leaves such rows out", row(list)).into());
    }
    if let Some(fixed) = lists.as_fixed_size_list_opt() {
        return Ok((fixed.value_length() as usize, fixed.values().clone()));
    }
    let lists = lists.as_list::<i64>();
    let offsets = lists.value_offsets();
    let length = |list: usize| offsets[list + 1] - offsets[list];
    let size = if lists.is_empty() { 0 } else { length(0) };
    if let Some(list) = (0..lists.len()).find(|&list| length(list) != size) {
        let found = length(list);
        return Err(format!("row {}: a list of {found}, expected {size} as in the first row", row(list)).into());
    }
    let start = offsets.first().copied().unwrap_or(0);
    let end = offsets.last().copied().unwrap_or(0);
    Ok((size as usize, lists.values().slice(start as usize, (end - start) as usize)))
}

/// The values as they are stored; missing ones as NaN, and then all as floats.
fn stored(values: &ArrayRef) -> Result<Stored, ReadProblem> {
    macro_rules! copied {
        ($variant:ident, $type:ty) => {
            Stored::$variant(values.as_primitive::<$type>().values().to_vec())
        };
    }
    let gaps = values.null_count() > 0;
    Ok(match values.data_type() {
        DataType::UInt8 if !gaps => copied!(U8, UInt8Type),
        DataType::UInt16 if !gaps => copied!(U16, UInt16Type),
        DataType::UInt32 if !gaps => copied!(U32, UInt32Type),
        DataType::UInt64 if !gaps => copied!(U64, UInt64Type),
        DataType::Int8 if !gaps => copied!(I8, Int8Type),
        DataType::Int16 if !gaps => copied!(I16, Int16Type),
        DataType::Int32 if !gaps => copied!(I32, Int32Type),
        DataType::Int64 if !gaps => copied!(I64, Int64Type),
        DataType::Float16 if !gaps => copied!(F16, Float16Type),
        DataType::Float32 if !gaps => copied!(F32, Float32Type),
        DataType::Float64 if !gaps => copied!(F64, Float64Type),
        DataType::Boolean if !gaps => Stored::Bool(values.as_boolean().values().iter().collect()),
        _ => {
            let wide = arrow_cast::cast(values, &DataType::Float64)?;
            Stored::F64(wide.as_primitive::<Float64Type>().iter().map(|v| v.unwrap_or(f64::NAN)).collect())
        }
    })
}
