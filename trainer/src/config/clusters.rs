//! The setting `clusters`: a number or the word `auto`.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// How many clusters there are: a number, or the word `auto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clusters {
    /// K.
    Count(usize),
    /// To be found.
    Auto,
}

impl Serialize for Clusters {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Count(k) => serializer.serialize_u64(*k as u64),
            Self::Auto => serializer.serialize_str("auto"),
        }
    }
}

impl<'de> Deserialize<'de> for Clusters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Clusters;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number of clusters or \"auto\"")
            }

            fn visit_u64<E: de::Error>(self, k: u64) -> Result<Clusters, E> {
                let k = usize::try_from(k).map_err(|_| E::invalid_value(de::Unexpected::Unsigned(k), &self))?;
                Ok(Clusters::Count(k))
            }

            fn visit_i64<E: de::Error>(self, k: i64) -> Result<Clusters, E> {
                let count = u64::try_from(k).map_err(|_| E::invalid_value(de::Unexpected::Signed(k), &self))?;
                self.visit_u64(count)
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<Clusters, E> {
                if word == "auto" {
                    Ok(Clusters::Auto)
                } else {
                    Err(E::invalid_value(de::Unexpected::Str(word), &self))
                }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}
