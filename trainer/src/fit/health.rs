//! What a fit leaves to say about itself, without a label: the health line.

use serde::Serialize;

use super::event::Event;
use crate::config::NoveltyConfig;
use crate::fitted::Fitted;

/// Agreement of starts, NMI, below which the clusters are an accident of the start.
const STARTS_AGREE: f64 = 0.7;
/// Share of the latent dimensions that are in use below which stage 1 has collapsed.
const DIMENSIONS_IN_USE: f64 = 0.5;
/// Share of its best value that the held-out ELBO may fall by before frames count as learned by heart.
const MAY_FALL: f64 = 0.05;

/// Collects from the events of a training what its health is told by.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    active_dimensions: Option<usize>,
    starts_agree: Option<f64>,
    halves_agree: Option<f64>,
    clusters: Option<(usize, f64)>,
    best_held_out: Option<f64>,
    last_held_out: Option<f64>,
}

/// The health of a fit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Health {
    /// What was found, in words.
    pub said: Vec<String>,
    /// What of it is bad, in words.
    pub bad: Vec<String>,
}

impl Watch {
    /// Takes an event.
    pub fn observe(&mut self, event: &Event<'_>) {
        match event {
            Event::Values(found) if found.holds() => self.halves_agree = Some(found.stability),
            Event::Chosen(choice) => self.starts_agree = choice.agreements.get(choice.chosen).copied(),
            Event::Mixture(report) => {
                self.active_dimensions = Some(report.active_units);
                self.clusters = Some((report.clusters.active_clusters, report.clusters.balance));
            }
            Event::Epoch(epoch) => {
                if let Some(clusters) = &epoch.clusters {
                    self.clusters = Some((clusters.active_clusters, clusters.balance));
                }
                if let Some(bound) = &epoch.held_out {
                    self.best_held_out = Some(self.best_held_out.map_or(bound.elbo, |best| best.max(bound.elbo)));
                    self.last_held_out = Some(bound.elbo);
                }
            }
            Event::Restart { .. } => *self = Self { halves_agree: self.halves_agree, ..Self::default() },
            _ => {}
        }
    }

    /// The health of what came of the training.
    pub fn health(&self, fitted: &Fitted) -> Health {
        let mut health = Health { said: Vec::new(), bad: Vec::new() };
        let mut say = |text: String, good: bool| {
            if !good {
                health.bad.push(text.clone());
            }
            health.said.push(text);
        };
        let k = fitted.model.prior.clusters();
        if let Some((active, balance)) = self.clusters {
            say(format!("{active} of {k} clusters active, balance {balance:.3}"), active == k);
        }
        if let Some(active) = self.active_dimensions {
            let of = fitted.config.latent;
            say(format!("{active} of {of} latent dimensions in use"), active as f64 >= DIMENSIONS_IN_USE * of as f64);
        }
        if let Some(agree) = self.halves_agree {
            say(format!("halves of the frames agree to {agree:.2}"), true);
        }
        if let Some(agree) = self.starts_agree {
            say(format!("starts agree to {agree:.2}"), agree >= STARTS_AGREE);
        }
        if let (Some(best), Some(last)) = (self.best_held_out, self.last_held_out) {
            let by_heart = last < best - MAY_FALL * best.abs();
            let word = if by_heart { ": learned by heart" } else { "" };
            say(format!("held-out ELBO {last:.1}, best {best:.1}{word}"), !by_heart);
        }
        let (asked, n) = (fitted.config.novelty.false_alarm_rate, fitted.calibrated_on);
        let rate = fitted.config.novelty.expected_rate(n);
        let few = if rate > asked { format!(", too few for {}", percent(asked)) } else { String::new() };
        say(format!("novelty threshold from {n} held-out frames, {} false alarms{few}", percent(rate)), rate <= asked);
        health
    }
}

impl std::fmt::Display for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let word = if self.bad.is_empty() { "good" } else { "look at" };
        let what = if self.bad.is_empty() { &self.said } else { &self.bad };
        write!(f, "health: {word}: {}", what.join("; "))
    }
}

/// A rate as per cent, three digits.
pub fn percent(rate: f64) -> String {
    format!("{} %", (rate * 1e4).round() / 100.0)
}

impl NoveltyConfig {
    /// Expected share of ordinary frames that a threshold from `n` of them calls novel: the rate asked for, as near below
    /// as n allows, or 1/(n+1) where that is more (the largest of n is passed that often).
    pub fn expected_rate(&self, n: usize) -> f64 {
        let rank = conformal_rank(n, self.false_alarm_rate);
        (n + 1 - rank) as f64 / (n + 1) as f64
    }
}

/// Rank, 1 to n, of the held-out value that is the threshold: ⌈(n+1)(1-α)⌉, the largest where there are too few.
///
/// A new value from the same source takes each of the n+1 ranks with the same probability, so it is above the value of
/// rank r with probability (n+1-r)/(n+1), at most α (conformal prediction: Vovk et al. 2005).
pub fn conformal_rank(n: usize, rate: f64) -> usize {
    // What rounding adds to a whole number must not lift it to the next.
    let rank = ((n + 1) as f64 * (1.0 - rate) - 1e-9).ceil() as usize;
    rank.clamp(1, n.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_from_n_frames_keeps_the_rate_or_says_what_it_is() {
        let config = NoveltyConfig { false_alarm_rate: 0.01 };
        assert_eq!((conformal_rank(99, 0.01), conformal_rank(400, 0.01)), (99, 397));
        assert!((config.expected_rate(99) - 0.01).abs() < 1e-12);
        assert!((config.expected_rate(400) - 4.0 / 401.0).abs() < 1e-12);
        // Too few: the largest, which one in n+1 exceeds.
        assert_eq!(conformal_rank(9, 0.01), 9);
        assert!((config.expected_rate(9) - 0.1).abs() < 1e-12);
        assert_eq!(percent(0.01), "1 %");
    }
}
