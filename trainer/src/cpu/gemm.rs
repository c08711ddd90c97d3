//! The matrix product of the crate `gemm`, with lengths checked.
//!
//! That product takes one stride for rows and one for columns, so a transpose is the same values
//! with the two exchanged, never a copy. It runs on the thread that asks, since its callers already
//! give each thread its own frames, and since the order of its sums must not depend on the number
//! of threads.

use gemm::Parallelism;

/// A matrix in row-major memory, or the transpose of one.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// A matrix of `rows` rows and `columns` columns in row-major order.
    ///
    /// # Panics
    /// If there are not as many values.
    pub fn new(values: &'a [f32], rows: usize, columns: usize) -> Self {
        assert_eq!(values.len(), rows * columns, "{rows} rows of {columns}");
        Self { values, rows, columns, row_stride: columns, column_stride: 1 }
    }

    /// The transpose of the matrix, without a copy.
    pub fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

/// How a product meets the values that are in `out` already.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Into {
    /// The product takes its place.
    Replace,
    /// The product is added.
    Add,
}

/// Product of `a` `[m,k]` and `b` `[k,n]`, put or added into `out` `[m,n]`, in m·n·k multiply-adds.
///
/// # Panics
/// If the shapes do not fit.
pub fn product(out: &mut [f32], a: Matrix<'_>, b: Matrix<'_>, into: Into) {
    let (m, n, k) = (a.rows, b.columns, a.columns);
    assert!(b.rows == k && out.len() == m * n, "[{m},{k}] times [{},{n}] into {} values", b.rows, out.len());
    let add = into == Into::Add;
    // SAFETY: `Matrix::new` and the line above compared every length with its shape, so each index that the strides
    // reach lies in its slice; `out` is borrowed alone, so it overlaps neither factor.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            n as isize,
            add,
            a.values.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.values.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            if add { 1.0 } else { 0.0 },
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}
