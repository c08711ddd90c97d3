//! Agreement of clusters with classes: ACC, NMI, ARI.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::matching::one_to_one;

/// Agreement of a clustering with classes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Scores {
    /// Share of frames in the cluster matched to their class, one cluster to one class, best
    /// matching.
    pub acc: f64,
    /// Mutual information over the arithmetic mean of the two entropies.
    pub nmi: f64,
    /// Adjusted Rand index: 1 if they agree, 0 on average if they are unrelated.
    pub ari: f64,
    /// Number of frames scored.
    pub n: usize,
}

/// Frames of each class in each cluster, `[clusters][classes]`; classes in ascending order.
fn contingency(clusters: &[usize], classes: &[u32]) -> Vec<Vec<i64>> {
    let rows = clusters.iter().max().map_or(0, |m| m + 1);
    let mut numbers: BTreeMap<u32, usize> = classes.iter().map(|&c| (c, 0)).collect();
    for (rank, number) in numbers.values_mut().enumerate() {
        *number = rank;
    }
    let mut counts = vec![vec![0; numbers.len()]; rows];
    for (&cluster, class) in clusters.iter().zip(classes) {
        counts[cluster][numbers[class]] += 1;
    }
    counts
}

/// The class matched to each cluster (by rank among the classes), None for clusters left over.
pub fn matching(clusters: &[usize], classes: &[u32]) -> Vec<Option<usize>> {
    one_to_one(&contingency(clusters, classes)).1
}

/// Scores clusters `[N]` against classes `[N]`.
pub fn scores(clusters: &[usize], classes: &[u32]) -> Scores {
    let counts = contingency(clusters, classes);
    let n = clusters.len() as f64;
    let rows: Vec<i64> = counts.iter().map(|row| row.iter().sum()).collect();
    let columns: Vec<i64> =
        (0..counts.first().map_or(0, Vec::len)).map(|c| counts.iter().map(|r| r[c]).sum()).collect();

    let entropy =
        |sums: &[i64]| -> f64 { sums.iter().filter(|&&s| s > 0).map(|&s| s as f64 / n).map(|p| -p * p.ln()).sum() };
    let mut information = 0.0;
    for (row, &row_sum) in counts.iter().zip(&rows) {
        for (&count, &column_sum) in row.iter().zip(&columns).filter(|(c, _)| **c > 0) {
            information += count as f64 / n * (count as f64 * n / (row_sum as f64 * column_sum as f64)).ln();
        }
    }
    let mean_entropy = (entropy(&rows) + entropy(&columns)) / 2.0;

    let pairs = |x: i64| x as f64 * (x as f64 - 1.0) / 2.0;
    let together: f64 = counts.iter().flatten().map(|&c| pairs(c)).sum();
    let (a, b): (f64, f64) = (rows.iter().map(|&s| pairs(s)).sum(), columns.iter().map(|&s| pairs(s)).sum());
    let expected = if n > 1.0 { a * b / pairs(n as i64) } else { 0.0 };
    let spread = (a + b) / 2.0 - expected;

    Scores {
        acc: one_to_one(&counts).0 as f64 / n,
        // One cluster and one class agree perfectly, by convention.
        nmi: if mean_entropy > 0.0 { information / mean_entropy } else { 1.0 },
        ari: if spread == 0.0 { 1.0 } else { (together - expected) / spread },
        n: clusters.len(),
    }
}
