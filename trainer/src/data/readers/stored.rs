//! Values as a file stores them, before anyone says what they mean.

use std::ops::Range;

use half::f16;

use super::value::Value;

/// Values of one type, in the order of their file; they are widened only when it is known what they mean.
#[derive(Clone, Debug, PartialEq)]
pub enum Stored {
    /// False or true: 0 or 1.
    Bool(Vec<bool>),
    /// Unsigned integers of 8 bits.
    U8(Vec<u8>),
    /// Unsigned integers of 16 bits.
    U16(Vec<u16>),
    /// Unsigned integers of 32 bits.
    U32(Vec<u32>),
    /// Unsigned integers of 64 bits.
    U64(Vec<u64>),
    /// Signed integers of 8 bits.
    I8(Vec<i8>),
    /// Signed integers of 16 bits.
    I16(Vec<i16>),
    /// Signed integers of 32 bits.
    I32(Vec<i32>),
    /// Signed integers of 64 bits.
    I64(Vec<i64>),
    /// Half precision.
    F16(Vec<f16>),
    /// Single precision.
    F32(Vec<f32>),
    /// Double precision.
    F64(Vec<f64>),
}

/// A number as a file stores it.
trait Number: Copy + PartialOrd {
    /// The same number in double precision, rounded where that has fewer digits.
    fn wide(self) -> f64;
    /// The same number in single precision, rounded once.
    fn single(self) -> f32 {
        self.wide() as f32
    }
}

macro_rules! numbers {
    ($($type:ty: $wide:expr, $single:expr;)*) => {$(
        impl Number for $type {
            fn wide(self) -> f64 {
                $wide(self)
            }

            fn single(self) -> f32 {
                $single(self)
            }
        }
    )*};
}

numbers! {
    bool: |v| f64::from(u8::from(v)), |v| f32::from(u8::from(v));
    u8: f64::from, f32::from;
    u16: f64::from, f32::from;
    u32: f64::from, |v| v as f32;
    u64: |v| v as f64, |v| v as f32;
    i8: f64::from, f32::from;
    i16: f64::from, f32::from;
    i32: f64::from, |v| v as f32;
    i64: |v| v as f64, |v| v as f32;
    f16: f64::from, f32::from;
    f32: f64::from, |v| v;
    f64: |v| v, |v| v as f32;
}

/// Calls `$body` with `$values`, whatever the type of what is stored.
macro_rules! of_any_type {
    ($stored:expr, $values:ident => $body:expr) => {
        match $stored {
            Stored::Bool($values) => $body,
            Stored::U8($values) => $body,
            Stored::U16($values) => $body,
            Stored::U32($values) => $body,
            Stored::U64($values) => $body,
            Stored::I8($values) => $body,
            Stored::I16($values) => $body,
            Stored::I32($values) => $body,
            Stored::I64($values) => $body,
            Stored::F16($values) => $body,
            Stored::F32($values) => $body,
            Stored::F64($values) => $body,
        }
    };
}

impl Stored {
    /// Number of values.
    pub fn len(&self) -> usize {
        of_any_type!(self, values => values.len())
    }

    /// Name of the type, as Rust and NumPy have it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Bool(_) => "bool",
            Self::U8(_) => "u8",
            Self::U16(_) => "u16",
            Self::U32(_) => "u32",
            Self::U64(_) => "u64",
            Self::I8(_) => "i8",
            Self::I16(_) => "i16",
            Self::I32(_) => "i32",
            Self::I64(_) => "i64",
            Self::F16(_) => "f16",
            Self::F32(_) => "f32",
            Self::F64(_) => "f64",
        }
    }

    /// The value that stands for white where pictures are stored in this type; None where the type has no such value.
    pub fn white(&self) -> Option<f64> {
        match self {
            Self::U8(_) => Some(255.0),
            Self::U16(_) => Some(65535.0),
            _ => None,
        }
    }

    /// The least and the greatest finite value, if there is one.
    pub fn range(&self) -> Option<(f64, f64)> {
        fn of<N: Number>(values: &[N]) -> Option<(f64, f64)> {
            let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
            for v in values {
                let v = v.wide();
                // Not a short-circuit: what always computes both becomes a vector's.
                least = if v.is_finite() & (v < least) { v } else { least };
                most = if v.is_finite() & (v > most) { v } else { most };
            }
            (least <= most).then_some((least, most))
        }
        of_any_type!(self, values => of(values))
    }

    /// True if every value is a whole number.
    pub fn is_whole(&self) -> bool {
        of_any_type!(self, values => values.iter().all(|v| v.wide().fract() == 0.0))
    }

    /// The values at `places`, in that order.
    ///
    /// # Panics
    /// If a place is not below [`Stored::len`].
    pub fn gather(&self, places: impl Iterator<Item = usize>) -> Self {
        macro_rules! each {
            ($($variant:ident)*) => {
                match self {
                    $(Self::$variant(values) => Self::$variant(places.map(|place| values[place]).collect()),)*
                }
            };
        }
        each!(Bool U8 U16 U32 U64 I8 I16 I32 I64 F16 F32 F64)
    }

    /// These values, then others of the same type.
    ///
    /// # Errors
    /// If they are of another type.
    pub fn followed_by(mut self, other: Self) -> Result<Self, String> {
        let types = (self.type_name(), other.type_name());
        macro_rules! each {
            ($($variant:ident)*) => {
                match (&mut self, other) {
                    $((Self::$variant(values), Self::$variant(more)) => values.extend(more),)*
                    _ => return Err(format!("values of type {}, expected {}", types.1, types.0)),
                }
            };
        }
        each!(Bool U8 U16 U32 U64 I8 I16 I32 I64 F16 F32 F64);
        Ok(self)
    }

    /// The values in double precision.
    pub fn wide(&self) -> Vec<f64> {
        of_any_type!(self, values => values.iter().map(|v| v.wide()).collect())
    }

    /// Writes the values at `places` to `out` as frames or tables hold them, as shares of `white` if there is one.
    ///
    /// # Panics
    /// If there are not as many places as values to write, or there is no such place.
    pub fn widen<T: Value>(&self, places: Range<usize>, white: Option<f64>, out: &mut [T]) {
        fn of<N: Number, T: Value>(values: &[N], white: Option<f64>, out: &mut [T]) {
            assert_eq!(values.len(), out.len());
            let pairs = out.iter_mut().zip(values);
            match white {
                Some(white) => pairs.for_each(|(out, v)| *out = T::share(v.single(), white)),
                None => pairs.for_each(|(out, v)| *out = T::of(v.single(), v.wide())),
            }
        }
        of_any_type!(self, values => of(&values[places], white, out));
    }
}

/// An array: values with the sizes of its axes, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Size of each axis, the outermost first.
    pub sizes: Vec<usize>,
    /// The values, the last axis fastest.
    pub values: Stored,
}

impl Array {
    /// An array whose first axis is the fastest, as Fortran has it, with its axes in the order of `sizes`.
    pub fn of_columns(sizes: Vec<usize>, values: Stored) -> Self {
        let reversed = Self { sizes: sizes.iter().rev().copied().collect(), values };
        reversed.transposed(&(0..sizes.len()).rev().collect::<Vec<_>>())
    }

    /// The array whose axis `i` is axis `order[i]` of this one.
    ///
    /// # Panics
    /// If `order` does not name every axis once.
    pub fn transposed(self, order: &[usize]) -> Self {
        assert_eq!(order.len(), self.sizes.len(), "axes {order:?} of an array of sizes {:?}", self.sizes);
        if order.is_sorted() {
            return self;
        }
        let mut strides = vec![1; self.sizes.len()];
        for axis in (1..self.sizes.len()).rev() {
            strides[axis - 1] = strides[axis] * self.sizes[axis];
        }
        let sizes: Vec<usize> = order.iter().map(|&axis| self.sizes[axis]).collect();
        let steps: Vec<usize> = order.iter().map(|&axis| strides[axis]).collect();
        let mut place = vec![0; sizes.len()];
        let mut from = 0;
        let places = (0..self.values.len()).map(|_| {
            let here = from;
            for axis in (0..sizes.len()).rev() {
                place[axis] += 1;
                from += steps[axis];
                if place[axis] < sizes[axis] {
                    break;
                }
                from -= steps[axis] * sizes[axis];
                place[axis] = 0;
            }
            here
        });
        Self { values: self.values.gather(places), sizes: sizes.clone() }
    }
}
