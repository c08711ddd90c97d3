//! Whether the clusters are in use: the numbers that tell a clustering from a collapsed one, without labels.

use serde::Serialize;

use crate::config::CollapseConfig;
use crate::data::{Part, Preparation, Source};
use crate::error::Result;
use crate::fitted::{encode, to_host};
use crate::model::ClusterVae;

/// Share of the frames, relative to 1/K, above which a cluster counts as active.
const ACTIVE_SHARE: f64 = 0.02;
/// Fewest active clusters of a clustering.
const MIN_ACTIVE: f64 = 2.0;
/// Largest number of frames that the verdict looks at.
const LOOK_AT: usize = 5000;

/// How much the clusters tell of a frame, and how evenly they share the frames.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Balance {
    /// I(x;c) = H(q̄) - mean H(q(c|x)), nats in `[0, log K]`.
    pub mutual_information: f64,
    /// H(q̄) / log K, in `[0, 1]`; 1 if all clusters have the same share.
    pub balance: f64,
    /// Smallest share of the frames that a cluster has, `[0, 1/K]`.
    pub smallest_share: f64,
    /// Number of clusters with more than a fiftieth of an even share of the frames.
    pub active_clusters: usize,
}

impl Balance {
    /// The balance of shares q̄ `[K]`, given the mean over frames of H(q(c|x)), nats.
    pub fn new(shares: &[f64], mean_entropy: f64) -> Self {
        let k = shares.len() as f64;
        let entropy: f64 = shares.iter().filter(|s| **s > 0.0).map(|s| -s * s.ln()).sum();
        Self {
            mutual_information: entropy - mean_entropy,
            balance: entropy / k.ln(),
            smallest_share: shares.iter().copied().fold(f64::INFINITY, f64::min),
            active_clusters: shares.iter().filter(|s| **s > ACTIVE_SHARE / k).count(),
        }
    }

    /// The balance of responsibilities `[N,K]`, `k` a row.
    pub fn of_responsibilities(responsibilities: &[f64], k: usize) -> Self {
        let n = (responsibilities.len() / k) as f64;
        let mut shares = vec![0.0; k];
        let mut entropy = 0.0;
        for row in responsibilities.chunks_exact(k) {
            shares.iter_mut().zip(row).for_each(|(s, r)| *s += r / n);
            entropy -= row.iter().filter(|r| **r > 0.0).map(|r| r * r.ln()).sum::<f64>() / n;
        }
        Self::new(&shares, entropy)
    }

    /// The balance of q(c|x) as the device computes it, on the first 5,000 of `frames`, already scaled.
    pub fn of_model(model: &ClusterVae, frames: &dyn Source) -> Result<Self> {
        let some = Part::of(frames, (0..frames.len().min(LOOK_AT) as u32).collect(), Preparation::default());
        let device = model.prior.mu_c.val().device();
        let mut responsibilities = Vec::new();
        encode(model, &some, &device, |_, _, posterior| {
            let q = to_host(model.log_responsibilities(&posterior).exp())?;
            responsibilities.extend(q.into_iter().map(f64::from));
            Ok(())
        })?;
        Ok(Self::of_responsibilities(&responsibilities, model.prior.clusters()))
    }

    /// The measure that is below its bound in `config`, in words; None if neither is. How even the shares are does not
    /// matter: most of a stream is ordinary.
    pub fn fault(&self, config: &CollapseConfig, clusters: usize) -> Option<String> {
        let (active, entropy) = (self.active_clusters, self.balance * (clusters as f64).ln());
        let information = if entropy > 0.0 { (self.mutual_information / entropy).max(0.0) } else { 0.0 };
        let least = (config.active * clusters as f64).max(MIN_ACTIVE);
        if self.balance.is_nan() || (active as f64) < least {
            let asked = config.active;
            Some(format!("{active} of {clusters} clusters are active, below collapse.active = {asked} (2 at least)"))
        } else if information.is_nan() || information < config.information {
            Some(format!("I(x;c) / H(q̄) is {information:.3}, below collapse.information = {}", config.information))
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_clear_uniform_and_collapsed_responsibilities() {
        let clear = Balance::of_responsibilities(&[1.0, 0.0, 0.0, 1.0], 2);
        assert!((clear.mutual_information - 2f64.ln()).abs() < 1e-12 && (clear.balance - 1.0).abs() < 1e-12);
        assert_eq!((clear.smallest_share, clear.active_clusters), (0.5, 2));
        let uniform = Balance::of_responsibilities(&[0.5; 4], 2);
        assert!(uniform.mutual_information.abs() < 1e-12 && (uniform.balance - 1.0).abs() < 1e-12);
        let one = Balance::of_responsibilities(&[1.0, 0.0, 1.0, 0.0], 2);
        assert_eq!((one.mutual_information, one.balance, one.active_clusters), (0.0, 0.0, 1));

        let bounds = CollapseConfig::default();
        assert_eq!(clear.fault(&bounds, 2), None);
        assert!(uniform.fault(&bounds, 2).unwrap().contains("collapse.information"));
        // Rare clusters are no collapse; one that has almost all is.
        let rare = Balance::new(&[0.97, 0.01, 0.01, 0.01], 0.0);
        assert_eq!((rare.active_clusters, rare.fault(&bounds, 4)), (4, None));
        let almost_all = Balance::new(&[0.999, 0.001], 0.0);
        assert!(almost_all.fault(&bounds, 2).unwrap().contains("collapse.active"));
        let half_empty = Balance::new(&[0.5, 0.5, 0.0, 0.0, 0.0], 0.0);
        assert!(half_empty.fault(&bounds, 5).unwrap().contains("2 of 5 clusters are active"));
        let unknown = Balance::new(&[f64::NAN, 1.0], 0.0);
        assert!(unknown.fault(&CollapseConfig::default(), 2).is_some());
    }
}
