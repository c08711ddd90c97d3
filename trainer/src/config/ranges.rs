//! Ranges of numbers, and the errors of values outside of them.

use crate::error::{Error, Result};

/// Refuses a value below `least`, naming its dotted key.
pub fn at_least(key: &str, value: usize, least: usize) -> Result<()> {
    if value < least {
        return Err(Error::config(key, format!("{value}, expected at least {least}")));
    }
    Ok(())
}

/// Refuses a value above `most`, naming its dotted key.
pub fn at_most(key: &str, value: usize, most: usize) -> Result<()> {
    if value > most {
        return Err(Error::config(key, format!("{value}, expected at most {most}")));
    }
    Ok(())
}

/// Refuses a weight for every value of a frame above `most`, naming its dotted key.
pub fn per_value(key: &str, value: f64, most: f64) -> Result<()> {
    if !(value >= 0.0 && value <= most) {
        let why = "it is for every value of a frame: divide a weight for whole frames by their number of values";
        return Err(Error::config(key, format!("{value}, expected 0 to {most}; {why}")));
    }
    Ok(())
}

/// Refuses a value outside of `least` to `most`, and NaN, naming its dotted key.
pub fn within(key: &str, value: f64, least: f64, most: f64) -> Result<()> {
    // Written so that NaN is refused too.
    if !(value >= least && value <= most) {
        return Err(Error::config(key, format!("{value}, expected {least} to {most}")));
    }
    Ok(())
}
