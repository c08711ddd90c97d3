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

/// Refuses a value outside of `least` to `most`, and NaN, naming its dotted key.
pub fn within(key: &str, value: f64, least: f64, most: f64) -> Result<()> {
    // Written so that NaN is refused too.
    if !(value >= least && value <= most) {
        return Err(Error::config(key, format!("{value}, expected {least} to {most}")));
    }
    Ok(())
}
