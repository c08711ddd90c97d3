//! Which value of a row is the largest, and which comes next.

/// The place of the largest value, of equals the first; 0 in an empty row.
pub fn argmax<T: PartialOrd>(values: &[T]) -> usize {
    best_two(values)[0]
}

/// The places of the largest and the second largest value, of equals the first; the largest twice
/// in a row of one.
pub fn best_two<T: PartialOrd>(values: &[T]) -> [usize; 2] {
    let mut best = [0, 0];
    for (i, v) in values.iter().enumerate().skip(1) {
        if *v > values[best[0]] {
            best = [i, best[0]];
        } else if best[1] == best[0] || *v > values[best[1]] {
            best[1] = i;
        }
    }
    best
}
