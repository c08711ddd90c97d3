//! How alike two cuts of the same frames are.

/// Mutual information of two cuts into clusters over the mean of their entropies, in `[0, 1]` (NMI); 1 if neither cuts.
///
/// # Panics
/// If the cuts are of different length.
pub fn agreement<T: Copy + Into<usize>>(left: &[T], right: &[T]) -> f64 {
    assert_eq!(left.len(), right.len(), "two cuts of the same frames");
    let most = |cut: &[T]| cut.iter().map(|&c| c.into() + 1).max().unwrap_or(1);
    let (across, down) = (most(right), most(left));
    let n = left.len() as f64;
    let mut joint = vec![0.0; down * across];
    left.iter().zip(right).for_each(|(&a, &b)| joint[a.into() * across + b.into()] += 1.0 / n);
    let rows: Vec<f64> = joint.chunks_exact(across).map(|row| row.iter().sum()).collect();
    let columns: Vec<f64> = (0..across).map(|c| joint.iter().skip(c).step_by(across).sum()).collect();
    let entropy = |shares: &[f64]| -> f64 { shares.iter().filter(|p| **p > 0.0).map(|p| -p * p.ln()).sum() };
    let (a, b, both) = (entropy(&rows), entropy(&columns), entropy(&joint));
    if a + b > 0.0 { 2.0 * (a + b - both) / (a + b) } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_equal_renamed_finer_and_unrelated_cuts() {
        let cut: Vec<usize> = (0..60).map(|n| n % 3).collect();
        let renamed: Vec<usize> = cut.iter().map(|c| (c + 1) % 3).collect();
        let unrelated: Vec<usize> = (0..60).map(|n| n / 20).collect();
        assert!((agreement(&cut, &renamed) - 1.0).abs() < 1e-12);
        assert!(agreement(&cut, &unrelated).abs() < 0.05);
        assert_eq!(agreement(&[0usize; 5], &[0; 5]), 1.0);
        // Each of three clusters cut in two: I = log 3, over ½ (log 3 + log 6).
        let finer: Vec<usize> = (0..60).map(|n| n % 6).collect();
        let expected = 2.0 * 3f64.ln() / (3f64.ln() + 6f64.ln());
        assert!((agreement(&cut, &finer) - expected).abs() < 1e-12);
    }
}
