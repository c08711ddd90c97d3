//! Rows matched to columns, one to one.

use pathfinding::kuhn_munkres::kuhn_munkres;
use pathfinding::matrix::Matrix;

/// The largest sum of `counts` over a matching of rows to columns, and the column of each row, None for rows left over; by
/// the Hungarian algorithm.
pub fn one_to_one(counts: &[Vec<i64>]) -> (i64, Vec<Option<usize>>) {
    let columns = counts.first().map_or(0, Vec::len);
    let side = counts.len().max(columns);
    if side == 0 {
        return (0, Vec::new());
    }
    let weights = Matrix::from_fn(side, side, |(r, c)| counts.get(r).and_then(|row| row.get(c)).copied().unwrap_or(0));
    let (matched, columns_of) = kuhn_munkres(&weights);
    (matched, columns_of.into_iter().take(counts.len()).map(|c| Some(c).filter(|&c| c < columns)).collect())
}
