//! What may be said of a table on the command line.

use std::str::FromStr;

use super::super::super::input::READING;

/// How a table is written, and what its columns are.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct TableOptions {
    /// What stands between the fields of a table: a character, tab or space [default: found]
    #[arg(long, value_name = "CHAR", help_heading = READING)]
    pub delimiter: Option<Delimiter>,
    /// What stands before the decimals of a number in a table [default: found]
    #[arg(long, value_enum, help_heading = READING)]
    pub decimal: Option<Decimal>,
    /// Whether the first row of a table names its columns
    #[arg(long, value_enum, default_value_t, help_heading = READING)]
    pub header: Header,
    /// Lines of a table that are left out at its begin
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = READING)]
    pub skip: usize,
    /// Encoding of a table, as utf-8, utf-16le or windows-1252 [default: found]
    #[arg(long, value_name = "NAME", help_heading = READING)]
    pub encoding: Option<String>,
    /// Columns of a table that are the features, by name or number from 1 [default: all that hold numbers]
    #[arg(long, visible_alias = "channels", value_name = "COLUMN,...", value_delimiter = ',', help_heading = READING)]
    pub columns: Vec<String>,
    /// Columns of a table that are left out, by name or number from 1
    #[arg(long, value_name = "COLUMN,...", value_delimiter = ',', help_heading = READING)]
    pub ignore: Vec<String>,
}

/// What stands between the fields of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delimiter {
    /// One character of ASCII.
    Byte(u8),
    /// Any run of spaces and tabs.
    Space,
}

impl Delimiter {
    /// What is looked for, the first among equals.
    pub const USUAL: [Self; 5] = [Self::Byte(b'\t'), Self::Byte(b';'), Self::Byte(b'|'), Self::Byte(b','), Self::Space];

    /// The word that asks for it.
    pub fn word(self) -> String {
        match self {
            Self::Byte(b'\t') => "tab".to_owned(),
            Self::Byte(byte) => char::from(byte).to_string(),
            Self::Space => "space".to_owned(),
        }
    }
}

impl FromStr for Delimiter {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.as_bytes() {
            b"tab" | b"\\t" => Ok(Self::Byte(b'\t')),
            b"space" | b" " => Ok(Self::Space),
            [byte] if byte.is_ascii() && !byte.is_ascii_alphanumeric() => Ok(Self::Byte(*byte)),
            _ => Err("expected one character that is no letter or digit, tab, or space"),
        }
    }
}

impl std::fmt::Display for Delimiter {
    /// In a word.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Byte(b',') => f.write_str("commas"),
            Self::Byte(b';') => f.write_str("semicolons"),
            Self::Byte(b'\t') => f.write_str("tabs"),
            Self::Byte(byte) => write!(f, "\"{}\"", char::from(*byte)),
            Self::Space => f.write_str("spaces"),
        }
    }
}

/// What stands before the decimals of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Decimal {
    /// `1.5`.
    Point,
    /// `1,5`.
    Comma,
}

/// Whether the first row names the columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Header {
    /// By what stands in it and below; asked where that leaves a doubt.
    #[default]
    Auto,
    /// It does.
    Yes,
    /// It is a row as the others.
    No,
}
