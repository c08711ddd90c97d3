//! How a table is written: what stands between fields, and before decimals.

use std::borrow::Cow;
use std::collections::BTreeMap;

use ::csv::StringRecord;

use super::super::ReadProblem;
use super::fields::{Field, field};
use super::options::{Decimal, Delimiter};

/// Lines that begin so are comments.
const COMMENT: u8 = b'#';
/// So many lines decide on the delimiter.
const SAMPLE: usize = 200;

/// A row of a table: its line in the file, from 1, and its fields without the space around them.
pub type Row = (u64, StringRecord);

/// The rows of a text, without comments and empty lines.
pub fn rows(text: &str, delimiter: Delimiter) -> Result<Vec<Row>, ReadProblem> {
    let (text, byte) = match delimiter {
        Delimiter::Byte(byte) => (Cow::Borrowed(text), byte),
        Delimiter::Space => (Cow::Owned(text.lines().map(single_spaced).collect::<Vec<_>>().join("\n")), b'\t'),
    };
    let mut reader = ::csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(::csv::Trim::All)
        .comment(Some(COMMENT))
        .delimiter(byte)
        .from_reader(text.as_bytes());
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record?;
        let line = record.position().map_or(0, |position| position.line());
        // A line of spaces.
        if record.len() > 1 || !record[0].is_empty() {
            rows.push((line, record));
        }
    }
    Ok(rows)
}

/// A line with one tab between its words, those in quotes being one.
fn single_spaced(line: &str) -> String {
    let (mut out, mut quoted, mut gap) = (String::with_capacity(line.len()), false, false);
    for c in line.trim().chars() {
        quoted ^= c == '"';
        if c.is_whitespace() && !quoted {
            gap = true;
            continue;
        }
        if gap {
            out.push('\t');
            gap = false;
        }
        out.push(c);
    }
    out
}

/// The names in the last comment above the rows, if it has as many as there are columns, and none is a number.
pub fn names_in_comment(text: &str, delimiter: Delimiter, width: usize) -> Option<StringRecord> {
    let comments = text.lines().take_while(|line| line.trim().is_empty() || line.starts_with(char::from(COMMENT)));
    let last = comments.filter(|line| !line.trim().is_empty()).last()?;
    let (_, names) = rows(last.trim_start_matches(char::from(COMMENT)).trim(), delimiter).ok()?.into_iter().next()?;
    (names.len() == width && width > 1 && names.iter().all(|name| field(name, Decimal::Point) == Field::Word))
        .then_some(names)
}

/// A first line `sep=;`, by which spreadsheets are told the delimiter, and the text after it.
pub fn stated(text: &str) -> (Option<Delimiter>, &str) {
    let line = text.lines().next().unwrap_or("");
    match line.trim().strip_prefix("sep=").map(str::parse) {
        // The line stays as an empty one, so that those below keep their numbers.
        Some(Ok(delimiter)) => (Some(delimiter), &text[line.len()..]),
        _ => (None, text),
    }
}

/// What stands between the fields: what gives most lines the same number of fields, and most fields numbers.
pub fn delimiter(text: &str) -> Delimiter {
    let sample = text.lines().take(SAMPLE).collect::<Vec<_>>().join("\n");
    let mut best = (0.0, Delimiter::Byte(b','));
    for candidate in Delimiter::USUAL {
        let Ok(rows) = rows(&sample, candidate) else { continue };
        let mut counts = BTreeMap::new();
        rows.iter().for_each(|(_, record)| *counts.entry(record.len()).or_insert(0usize) += 1);
        let Some((&width, &lines)) = counts.iter().max_by_key(|(_, lines)| **lines).filter(|(width, _)| **width > 1)
        else {
            continue;
        };
        // The first line may be a header.
        let fields = || rows.iter().skip(usize::from(rows.len() > 1)).flat_map(|(_, record)| record.iter());
        let sensible =
            |text: &&str| [Decimal::Point, Decimal::Comma].iter().any(|decimal| field(text, *decimal) != Field::Word);
        let numbers = fields().filter(sensible).count() as f64 / fields().count().max(1) as f64;
        let score = lines as f64 / rows.len() as f64 * (0.5 + 0.5 * numbers);
        if score > best.0 && width > 1 {
            best = (score, candidate);
        }
    }
    best.1
}

/// What stands before the decimals of the numbers in these rows.
pub fn decimal(rows: &[Row]) -> Result<Decimal, ReadProblem> {
    let is = |text: &str, decimal| matches!(field(text, decimal), Field::Number(_));
    let (mut comma, mut point, mut decimals) = (None, None, false);
    for (line, record) in rows {
        for text in record.iter().filter(|text| text.contains([',', '.'])) {
            // Groups of three may be thousands, or not.
            let grouped = text.contains(',') && !text.contains('.');
            match (is(text, Decimal::Comma), is(text, Decimal::Point) && !grouped) {
                (true, false) => {
                    comma.get_or_insert((*line, text.to_owned()));
                    let after = text.rsplit(',').next().unwrap_or("");
                    decimals |= after.len() != 3 || text.starts_with("0,");
                }
                (false, true) => {
                    point.get_or_insert((*line, text.to_owned()));
                }
                _ => {}
            }
        }
    }
    match (comma, point) {
        (None, _) => Ok(Decimal::Point),
        (Some((line, text)), Some((other, with_point))) => Err(format!(
            "line {line} has the number \"{text}\", line {other} \"{with_point}\": say --decimal comma or --decimal point"
        )
        .into()),
        (Some((line, text)), None) if !decimals => {
            Err(format!("line {line}: \"{text}\" may be a fraction or thousands: say --decimal comma or --decimal point").into())
        }
        (Some(_), None) => Ok(Decimal::Comma),
    }
}
