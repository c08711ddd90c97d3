//! Which of several starts of stage 1 the clusters are built on, without a label.
//!
//! One start in three or so ends in latents where EM lays two kinds of frames into one cluster and cuts another in two.
//! Which kinds it mixes up is an accident of the start, while starts that got them right agree. So the one is taken that
//! agrees best with the others: the medoid by normalised mutual information. Nothing is assumed of how large clusters are.

use serde::Serialize;

use super::agreement::agreement;
use super::checkpoint::Start;

/// The start that was chosen.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Choice {
    /// Index of the start that was chosen.
    pub chosen: usize,
    /// Mean agreement of each start with the others, in `[0, 1]`.
    pub agreements: Vec<f64>,
}

impl Choice {
    /// The start that agrees best with the others; the first of equals.
    ///
    /// # Panics
    /// If there are fewer than two.
    pub fn of(starts: &[Start]) -> Self {
        let others = starts.len() - 1;
        let mean = |i: usize| {
            let with = |j: usize| agreement(&starts[i].clusters, &starts[j].clusters);
            (0..starts.len()).filter(|&j| j != i).map(with).sum::<f64>() / others as f64
        };
        let agreements: Vec<f64> = (0..starts.len()).map(mean).collect();
        let best = |best: usize, i: usize| if agreements[i] > agreements[best] { i } else { best };
        Self { chosen: (1..starts.len()).fold(0, best), agreements }
    }
}
