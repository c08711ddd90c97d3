//! A setting that is a number or the word `auto`.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A number, or the word `auto` where the data are to tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// The number.
    Of(usize),
    /// To be found from the data.
    Auto,
}

impl From<usize> for Count {
    fn from(number: usize) -> Self {
        Self::Of(number)
    }
}

impl Serialize for Count {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Of(k) => serializer.serialize_u64(*k as u64),
            Self::Auto => serializer.serialize_str("auto"),
        }
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Count;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number or \"auto\"")
            }

            fn visit_u64<E: de::Error>(self, k: u64) -> Result<Count, E> {
                let k = usize::try_from(k).map_err(|_| E::invalid_value(de::Unexpected::Unsigned(k), &self))?;
                Ok(Count::Of(k))
            }

            fn visit_i64<E: de::Error>(self, k: i64) -> Result<Count, E> {
                let count = u64::try_from(k).map_err(|_| E::invalid_value(de::Unexpected::Signed(k), &self))?;
                self.visit_u64(count)
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<Count, E> {
                if word == "auto" { Ok(Count::Auto) } else { Err(E::invalid_value(de::Unexpected::Str(word), &self)) }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}
