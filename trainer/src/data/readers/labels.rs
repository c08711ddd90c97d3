//! Classes of frames, whatever a file calls them.

use std::collections::BTreeMap;

use super::stored::{Array, Stored};

/// Labels as a file has them, one a frame.
#[derive(Clone, Debug, PartialEq)]
pub enum RawLabels {
    /// Numbers, whole or not.
    Numbers(Vec<f64>),
    /// Words, or numbers written out.
    Words(Vec<String>),
}

/// Classes by number, for scoring only.
#[derive(Clone, Debug, PartialEq)]
pub struct Classes {
    /// Class of each frame `[N]`.
    pub of_frames: Vec<u32>,
    /// Name of each class by its number, where the file has other names than the numbers.
    pub names: Option<Vec<String>>,
}

impl RawLabels {
    /// The labels in an array `[N]`, `[N,1]`, or `[N,K]` with a single one in each row.
    pub fn of_array(array: &Array) -> Result<Self, String> {
        let values = array.values.wide();
        match array.sizes[..] {
            [_] | [_, 1] => Ok(Self::Numbers(values)),
            [_, k] if k > 1 => {
                let class = |row: &[f64]| {
                    let ones = row.iter().filter(|v| **v == 1.0).count();
                    let zeros = row.iter().filter(|v| **v == 0.0).count();
                    (ones == 1 && zeros == k - 1).then(|| row.iter().position(|v| *v == 1.0).unwrap_or(0) as f64)
                };
                values
                    .chunks_exact(k)
                    .map(class)
                    .collect::<Option<_>>()
                    .map(Self::Numbers)
                    .ok_or_else(|| format!("shape {:?}, and its rows are not all zeros with a single one", array.sizes))
            }
            _ => Err(format!("shape {:?}, expected one label a frame", array.sizes)),
        }
    }

    /// Number of frames that have a label.
    pub fn len(&self) -> usize {
        match self {
            Self::Numbers(values) => values.len(),
            Self::Words(words) => words.len(),
        }
    }

    /// The labels of the frames for which `keep` holds.
    pub fn filtered(self, keep: &[bool]) -> Self {
        fn of<T>(values: Vec<T>, keep: &[bool]) -> Vec<T> {
            values.into_iter().zip(keep).filter(|(_, keep)| **keep).map(|(value, _)| value).collect()
        }
        match self {
            Self::Numbers(values) => Self::Numbers(of(values, keep)),
            Self::Words(words) => Self::Words(of(words, keep)),
        }
    }

    /// Whether two frames have the same label.
    pub fn are_same(&self, a: usize, b: usize) -> bool {
        match self {
            Self::Numbers(values) => values[a].to_bits() == values[b].to_bits(),
            Self::Words(words) => words[a] == words[b],
        }
    }

    /// The labels at these places, in that order.
    pub fn at(&self, places: &[usize]) -> Self {
        match self {
            Self::Numbers(values) => Self::Numbers(places.iter().map(|&place| values[place]).collect()),
            Self::Words(words) => Self::Words(places.iter().map(|&place| words[place].clone()).collect()),
        }
    }

    /// These labels, then those of another file.
    pub fn followed_by(self, other: Self) -> Self {
        match (self, other) {
            (Self::Numbers(mut a), Self::Numbers(b)) => {
                a.extend(b);
                Self::Numbers(a)
            }
            (a, b) => Self::Words(a.words().into_iter().chain(b.words()).collect()),
        }
    }

    fn words(self) -> Vec<String> {
        match self {
            Self::Numbers(values) => values.iter().map(f64::to_string).collect(),
            Self::Words(words) => words,
        }
    }

    /// Numbers the classes: whole numbers of 0 or more stand for themselves, others in their order, words in the
    /// alphabet's.
    ///
    /// # Errors
    /// If a label is missing or a number is not whole: then they are no classes.
    pub fn classes(self) -> Result<Classes, String> {
        let words = match self {
            Self::Numbers(numbers) => return of_numbers(numbers),
            Self::Words(words) => words,
        };
        if let Some(n) = words.iter().position(String::is_empty) {
            return Err(format!("label {n} is missing"));
        }
        if let Ok(numbers) = words.iter().map(|word| word.parse()).collect::<Result<Vec<f64>, _>>() {
            return of_numbers(numbers);
        }
        let mut order: BTreeMap<&str, u32> = words.iter().map(|word| (word.as_str(), 0)).collect();
        order.values_mut().zip(0..).for_each(|(value, rank)| *value = rank);
        let of_frames = words.iter().map(|word| order[word.as_str()]).collect();
        Ok(Classes { of_frames, names: Some(order.into_keys().map(str::to_owned).collect()) })
    }
}

fn of_numbers(numbers: Vec<f64>) -> Result<Classes, String> {
    if let Some((n, value)) = numbers.iter().enumerate().find(|(_, value)| value.fract() != 0.0) {
        return Err(format!("label {n} is {value}, no class"));
    }
    if numbers.iter().all(|v| (0.0..=f64::from(u32::MAX)).contains(v)) {
        return Ok(Classes { of_frames: numbers.into_iter().map(|v| v as u32).collect(), names: None });
    }
    let mut order = numbers.clone();
    order.sort_by(f64::total_cmp);
    order.dedup();
    let rank = |v: &f64| order.partition_point(|other| other < v) as u32;
    Ok(Classes {
        of_frames: numbers.iter().map(rank).collect(),
        names: Some(order.iter().map(f64::to_string).collect()),
    })
}

/// The labels of IDX and other arrays of bytes.
impl From<Vec<u8>> for RawLabels {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Numbers(Stored::U8(bytes).wide())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_any_type_become_classes() {
        let words = |words: &[&str]| RawLabels::Words(words.iter().map(|w| (*w).to_owned()).collect()).classes();
        let cats = words(&["cat", "ant", "cat"]).unwrap();
        assert_eq!((cats.of_frames, cats.names), (vec![1, 0, 1], Some(vec!["ant".to_owned(), "cat".to_owned()])));
        assert_eq!(words(&["7", "3.0"]).unwrap(), Classes { of_frames: vec![7, 3], names: None });
        let signed = RawLabels::Numbers(vec![1.0, -1.0, 1.0]).classes().unwrap();
        assert_eq!((signed.of_frames, signed.names), (vec![1, 0, 1], Some(vec!["-1".to_owned(), "1".to_owned()])));
        assert_eq!(RawLabels::Numbers(vec![1.0, 0.5]).classes().unwrap_err(), "label 1 is 0.5, no class");
        assert_eq!(words(&["a", ""]).unwrap_err(), "label 1 is missing");
        let one_hot = Array { sizes: vec![2, 3], values: Stored::U8(vec![0, 0, 1, 1, 0, 0]) };
        assert_eq!(RawLabels::of_array(&one_hot).unwrap().classes().unwrap().of_frames, [2, 0]);
    }
}
