//! What the rows are made of: intervals, rank correlation, area under the ROC curve.

/// Standard normal quantile of 97.5 %.
const Z: f64 = 1.959_964;

/// Mean and its 95 % interval by the normal approximation; for paired comparisons, of the
/// differences.
///
/// Fewer than two values have the interval of all numbers, since they say nothing of their spread.
pub fn mean_interval(values: &[f64]) -> (f64, [f64; 2]) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    if values.len() < 2 {
        return (mean, [f64::NEG_INFINITY, f64::INFINITY]);
    }
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let half = Z * (variance / n).sqrt();
    (mean, [mean - half, mean + half])
}

/// Ranks from 1, equal values sharing the mean of theirs.
pub fn ranks(values: &[f32]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut from = 0;
    for tied in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let shared = from as f64 + (tied.len() + 1) as f64 / 2.0;
        tied.iter().for_each(|&i| ranks[i] = shared);
        from += tied.len();
    }
    ranks
}

/// Spearman's rank correlation; 0 if one of the two is constant.
pub fn spearman(a: &[f32], b: &[f32]) -> f64 {
    let centre = (a.len() + 1) as f64 / 2.0;
    let [a, b] = [a, b].map(|values| ranks(values).into_iter().map(|rank| rank - centre).collect::<Vec<_>>());
    let product = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
    let scale = (product(&a, &a) * product(&b, &b)).sqrt();
    if scale > 0.0 { product(&a, &b) / scale } else { 0.0 }
}
