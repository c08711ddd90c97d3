//! Whether the first row of a table names its columns.

use super::dialect::Row;
use super::fields::{Field, field};
use super::lookup::is_usual;
use super::options::{Decimal, Header};

/// So many rows below the first are looked at.
const SAMPLE: usize = 200;
/// Numbers that count up from 0 are a header if they are so many, whatever stands below.
const LONG: usize = 5;

/// Whether the first of these rows names the columns; `known` are names that the model has.
///
/// # Errors
/// If that cannot be told.
pub fn is_header(rows: &[Row], asked: Header, decimal: Decimal, known: Option<&[String]>) -> Result<bool, String> {
    let (first, below) = match (asked, rows) {
        (Header::Yes, _) => return Ok(true),
        (Header::No, _) | (_, []) => return Ok(false),
        (Header::Auto, [(_, first), below @ ..]) => (first, &below[..below.len().min(SAMPLE)]),
    };
    let named = |text: &str| known.is_some_and(|names| names.iter().any(|name| name == text));
    let kinds: Vec<Field> = first.iter().map(|text| field(text, decimal)).collect();
    if kinds.iter().all(|kind| !matches!(kind, Field::Number(_) | Field::Missing)) {
        return Ok(true);
    }
    let words = || first.iter().zip(&kinds).enumerate().filter(|(_, (_, kind))| **kind == Field::Word);
    if words().next().is_none() {
        return counts_up(rows, decimal);
    }
    // A word above numbers, or one that columns are called by.
    let number_below = |column: usize| {
        let kinds = below.iter().filter_map(|(_, row)| row.get(column)).map(|text| field(text, decimal));
        kinds.filter(|kind| matches!(kind, Field::Number(_) | Field::Time)).count() * 2 > below.len()
    };
    Ok(words().any(|(column, (text, _))| named(text) || is_usual(text) || number_below(column)))
}

/// Whether a first row of numbers is a header, as the 0, 1, 2, ... that programs write where columns have no names.
fn counts_up(rows: &[Row], decimal: Decimal) -> Result<bool, String> {
    let [(line, first), below @ ..] = rows else { return Ok(false) };
    // A column of row numbers has an empty name.
    let numbers: Vec<&str> = first.iter().skip_while(|text| text.is_empty()).collect();
    let leading = first.len() - numbers.len();
    let whole = |text: &&str| text.parse::<i64>().ok();
    let Some(values) = numbers.iter().map(whole).collect::<Option<Vec<i64>>>() else { return Ok(false) };
    let up = values.windows(2).all(|pair| pair[1] == pair[0] + 1);
    if !up || below.is_empty() || (leading > 1) {
        return Ok(false);
    }
    let sample = &below[..below.len().min(SAMPLE)];
    let fields = || sample.iter().flat_map(|(_, row)| row.iter().skip(leading));
    let fraction = |text: &str| text.contains(['.', 'e', 'E']) || (decimal == Decimal::Comma && text.contains(','));
    let written_as_floats = fields().all(|text| fraction(text) || !matches!(field(text, decimal), Field::Number(_)));
    let from_zero = values[0] == 0;
    match (from_zero, values.len()) {
        (true, _) if written_as_floats || leading == 1 => Ok(true),
        (true, n) if n >= LONG && below[0].1.get(leading) != Some(&n.to_string()) => Ok(true),
        (true, n) if n >= 2 => {
            let shown = numbers.iter().take(LONG).copied().collect::<Vec<_>>().join(", ");
            Err(format!("line {line}: are {shown} the names of the columns, or a row? Say --header yes or --header no"))
        }
        (false, n) if n >= 3 => Ok(written_as_floats),
        _ => Ok(false),
    }
}
