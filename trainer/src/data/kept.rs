//! Columns of the input that are carried through to the output as they are: keys, times, names.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray, UInt64Array};
use arrow_schema::{ArrowError, DataType};
use arrow_select::{concat::concat, filter::filter, take::take};

/// A column that is carried through.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Its name.
    pub name: String,
    /// Its values `[N]`, of the type that they have in the file.
    pub values: ArrayRef,
}

impl Kept {
    /// This column, then that of another file.
    ///
    /// # Errors
    /// If it is of a type that does not go together.
    pub fn followed_by(self, other: &Self) -> Result<Self, ArrowError> {
        let (a, b) = (&self.values, &other.values);
        let values = match a.data_type() == b.data_type() {
            true => concat(&[a, b])?,
            false => concat(&[&texts(a)?, &texts(b)?])?,
        };
        Ok(Self { values, ..self })
    }

    /// The values at these places, in that order.
    ///
    /// # Errors
    /// If there is no such place.
    pub fn taken(self, places: &UInt64Array) -> Result<Self, ArrowError> {
        Ok(Self { values: take(&self.values, places, None)?, ..self })
    }

    /// The values at which `keep` holds.
    ///
    /// # Errors
    /// If they are not as many.
    pub fn filtered(self, keep: &[bool]) -> Result<Self, ArrowError> {
        Ok(Self { values: filter(&self.values, &BooleanArray::from(keep.to_vec()))?, ..self })
    }
}

/// Values of any type as text.
///
/// # Errors
/// For types that have none.
pub fn texts(values: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    // Zones have names that only a database of them knows; the time is the same in UTC.
    let values = match values.data_type() {
        DataType::Timestamp(unit, Some(_)) => {
            &arrow_cast::cast(values, &DataType::Timestamp(*unit, Some("+00:00".into())))?
        }
        _ => values,
    };
    arrow_cast::cast(values, &DataType::Utf8)
}

/// A column of texts: as numbers where all are written as numbers are here, so that nothing of them is lost.
pub fn of_texts<'a>(texts: impl Iterator<Item = &'a str> + Clone) -> ArrayRef {
    fn all<'a, N: std::str::FromStr + ToString>(texts: impl Iterator<Item = &'a str>) -> Option<Vec<Option<N>>> {
        let number = |text: &str| match text {
            "" => Some(None),
            text => text.parse::<N>().ok().filter(|number| number.to_string() == text).map(Some),
        };
        texts.map(number).collect()
    }
    if let Some(whole) = all::<i64>(texts.clone()) {
        return Arc::new(Int64Array::from(whole));
    }
    if let Some(real) = all::<f64>(texts.clone()) {
        return Arc::new(Float64Array::from(real));
    }
    Arc::new(texts.map(|text| (!text.is_empty()).then_some(text)).collect::<StringArray>())
}
