//! Clusters against labels.

use pathfinding::kuhn_munkres::kuhn_munkres;
use pathfinding::matrix::Matrix;

use super::digits::CLASSES;

/// Number of frames of each class in each cluster.
#[derive(Clone, Debug)]
pub struct Counts(Vec<[i64; CLASSES]>);

impl Counts {
    /// No frame yet, of so many clusters.
    pub fn new(clusters: usize) -> Self {
        Self(vec![[0; CLASSES]; clusters])
    }

    /// Counts a frame of a class in a cluster.
    pub fn add(&mut self, cluster: usize, label: usize) {
        self.0[cluster][label] += 1;
    }

    /// The class of each cluster: one to one with the most agreement as long as there are classes,
    /// then the commonest.
    pub fn classes(&self) -> Vec<usize> {
        let commonest = |row: &[i64; CLASSES]| (0..CLASSES).max_by_key(|label| (row[*label], CLASSES - label));
        let mut classes: Vec<usize> = self.0.iter().map(|row| commonest(row).unwrap_or(0)).collect();
        let clusters = self.0.len();
        let count = |cluster: usize, label: usize| self.0[cluster][label];
        if clusters <= CLASSES {
            classes = kuhn_munkres(&Matrix::from_fn(clusters, CLASSES, |(c, l)| count(c, l))).1;
        } else {
            let of_labels = kuhn_munkres(&Matrix::from_fn(CLASSES, clusters, |(l, c)| count(c, l))).1;
            of_labels.iter().enumerate().for_each(|(label, cluster)| classes[*cluster] = label);
        }
        classes
    }

    /// Number of frames whose label is the class of their cluster, and number of all frames.
    pub fn agreement(&self, classes: &[usize]) -> [u64; 2] {
        let right: i64 = self.0.iter().zip(classes).map(|(row, class)| row[*class]).sum();
        [right as u64, self.0.iter().flatten().sum::<i64>() as u64]
    }
}
