//! What a field of a table holds.

use super::options::Decimal;

/// What stands in a field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Field {
    /// Nothing, or a word for nothing, such as `NA`.
    Missing,
    /// A number, infinite ones included.
    Number(f64),
    /// A date, a time, or both.
    Time,
    /// Anything else.
    Word,
}

/// Words for a value that is not there, in lower case.
const NOTHING: [&str; 13] = ["", "na", "n/a", "#n/a", "nan", "-nan", "null", "none", "nil", "?", "-", "--", "<na>"];

/// What a field holds, without the space around it.
pub fn field(text: &str, decimal: Decimal) -> Field {
    if text.starts_with('\u{2212}') {
        return field(&text.replacen('\u{2212}', "-", 1), decimal);
    }
    // The most frequent case first.
    if let Some(number) = number(text, decimal).filter(|number| !number.is_nan()) {
        return Field::Number(number);
    }
    match text.to_ascii_lowercase().as_str() {
        nothing if NOTHING.contains(&nothing) => Field::Missing,
        "true" => Field::Number(1.0),
        "false" => Field::Number(0.0),
        other if is_time(other) => Field::Time,
        _ => Field::Word,
    }
}

fn number(text: &str, decimal: Decimal) -> Option<f64> {
    match decimal {
        Decimal::Point if text.contains(',') => {
            let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
            (!rest.contains(',')).then(|| format!("{}.{rest}", without_groups(whole, ',')?).parse().ok()).flatten()
        }
        Decimal::Point => text.parse().ok(),
        Decimal::Comma if !text.contains([',', '.']) => text.parse().ok(),
        Decimal::Comma => {
            let (whole, rest) = text.split_once(',')?;
            let whole = match whole.contains('.') {
                true => without_groups(whole, '.')?,
                false => whole.to_owned(),
            };
            (!rest.contains([',', '.'])).then(|| format!("{whole}.{rest}").parse().ok()).flatten()
        }
    }
}

/// `1.234.567` as `1234567` where `mark` is the point; None if the groups are not of three digits.
fn without_groups(whole: &str, mark: char) -> Option<String> {
    let (sign, digits) = whole.split_at(usize::from(whole.starts_with(['+', '-'])));
    let mut groups = digits.split(mark);
    let first = groups.next().filter(|first| (1..=3).contains(&first.len()))?;
    let all = |group: &str| group.len() == 3 && group.bytes().all(|byte| byte.is_ascii_digit());
    groups.all(all).then(|| format!("{sign}{first}{}", digits[first.len()..].replace(mark, "")))
}

/// True for dates and times in digits, as `2024-01-31`, `31.01.2024 12:00`, `2024-01-31T12:00:00.5Z`, `12:30`.
fn is_time(lower: &str) -> bool {
    let lower = lower.strip_suffix("utc").or(lower.strip_suffix("gmt")).unwrap_or(lower);
    let text = lower.trim_end_matches(['z', 'm', 'a', 'p', ' ']);
    let (first, rest) = text.split_once(['t', ' ']).unwrap_or((text, ""));
    match (is_date(first), is_clock(first)) {
        (true, _) => rest.is_empty() || is_clock(rest.trim()),
        (false, clock) => clock && rest.is_empty(),
    }
}

/// Three numbers of at most four digits between two marks of one kind, as `2024-01-31`, `31.1.2024` or `1/31/24`.
fn is_date(text: &str) -> bool {
    let number = |part: &str| (1..=4).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    let of = |mark: char| text.split(mark).count() == 3 && text.split(mark).all(number);
    ['-', '/', '.'].into_iter().any(of)
}

/// Hours, minutes, and maybe seconds with a fraction and a zone, as `12:30`, `7:05:59.25` or `12:00:00+01:00`.
fn is_clock(text: &str) -> bool {
    let time = text.split(['+', '-']).next().unwrap_or(text);
    let mut parts = time.split(':');
    let digits =
        |part: &str, least: usize| (least..=2).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    let second = |part: &str| {
        let (whole, fraction) = part.split_once(['.', ',']).unwrap_or((part, "0"));
        digits(whole, 2) && fraction.bytes().all(|byte| byte.is_ascii_digit())
    };
    let hour = parts.next().is_some_and(|part| digits(part, 1));
    hour && parts.next().is_some_and(|part| digits(part, 2))
        && parts.next().is_none_or(second)
        && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_a_number_a_time_a_gap_or_a_word() {
        use Decimal::{Comma, Point};
        for (text, decimal, expected) in [
            ("1.5", Point, Field::Number(1.5)),
            ("-1e3", Point, Field::Number(-1000.0)),
            ("1,5", Point, Field::Word),
            ("1,234.5", Point, Field::Number(1234.5)),
            ("-1,234,567", Point, Field::Number(-1_234_567.0)),
            ("12,34.5", Point, Field::Word),
            ("1,234.5,6", Point, Field::Word),
            ("2024-01-31 12:00:00 UTC", Point, Field::Time),
            ("1,5", Comma, Field::Number(1.5)),
            ("7", Comma, Field::Number(7.0)),
            ("1.234.567,25", Comma, Field::Number(1_234_567.25)),
            ("-1.234,5", Comma, Field::Number(-1234.5)),
            ("1.5", Comma, Field::Word),
            ("12.34,5", Comma, Field::Word),
            ("NA", Point, Field::Missing),
            ("", Point, Field::Missing),
            ("NaN", Point, Field::Missing),
            ("True", Point, Field::Number(1.0)),
            ("2024-01-31", Point, Field::Time),
            ("2024-01-31T12:00:00.5Z", Point, Field::Time),
            ("31.01.2024 12:00", Point, Field::Time),
            ("12:30", Point, Field::Time),
            ("1/31/2024", Point, Field::Time),
            ("2024-01-31 12:00:00+01:00", Point, Field::Time),
            ("1/31/2024 7:05:59 PM", Point, Field::Time),
            ("1:0.5", Point, Field::Word),
            ("1.2.3.4", Point, Field::Word),
            ("−1.5", Point, Field::Number(-1.5)),
            ("Iris-setosa", Point, Field::Word),
            ("a:b", Point, Field::Word),
            ("1-2", Point, Field::Word),
        ] {
            assert_eq!(field(text, decimal), expected, "{text}");
        }
        assert_eq!(field("inf", Point), Field::Number(f64::INFINITY));
    }
}
