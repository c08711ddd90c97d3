//! What a fit leaves to say about itself, without a label: the health line.

use serde::Serialize;
use serde_json::Value;

use super::log::{epoch_of_model, of_model};
use crate::config::{EncoderKind, NoveltyConfig};
use crate::fitted::Fitted;

/// Agreement of starts, NMI, below which the clusters are an accident of the start.
const STARTS_AGREE: f64 = 0.7;
/// Share of the frames on which models of halves must agree with the model.
const HALVES_AGREE: f64 = 0.7;
/// Share of the latent dimensions that are in use below which stage 1 has collapsed.
const DIMENSIONS_IN_USE: f64 = 0.5;
/// Share of its best value that the held-out ELBO may fall by before frames count as learned by heart.
const MAY_FALL: f64 = 0.05;

/// The health of a fit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Health {
    /// What was found, in words.
    pub said: Vec<String>,
    /// What of it is bad, in words.
    pub bad: Vec<String>,
}

impl Health {
    /// The health of `fitted`, by the `lines` of its `metrics.jsonl`: those are the same whether or not the training was
    /// interrupted.
    pub fn new(fitted: &Fitted, lines: &[Value]) -> Self {
        let (lines, _) = of_model(lines.to_vec());
        let last = |key: &str| lines.iter().rev().map(|line| &line[key]).find(|value| !value.is_null());
        let mut health = Self { said: Vec::new(), bad: Vec::new() };
        let mut say = |text: String, good: bool| {
            if !good {
                health.bad.push(text.clone());
            }
            health.said.push(text);
        };
        let k = fitted.model.prior.clusters() as u64;
        if let (Some(active), Some(balance)) =
            (last("active_clusters").and_then(Value::as_u64), last("balance").and_then(Value::as_f64))
        {
            say(format!("{active} of {k} clusters active, balance {balance:.3}"), active == k);
        }
        if let Some(active) = last("active_units").and_then(Value::as_u64) {
            let of = fitted.config.latent;
            say(format!("{active} of {of} latent dimensions in use"), active as f64 >= DIMENSIONS_IN_USE * of as f64);
        }
        let best = lines.iter().find_map(|line| line["rivals"].as_array()?.get(line["best"].as_u64()? as usize));
        if fitted.config.encoder.kind == EncoderKind::Identity
            && let Some(alike) = best.and_then(|best| best["alike"].as_f64())
        {
            say(format!("mixtures of halves agree on {:.0} % of the frames", 100.0 * alike), alike >= HALVES_AGREE);
        }
        let choice = lines.iter().find_map(|line| Some((line["chosen"].as_u64()?, &line["agreements"])));
        if let Some(agree) = choice.and_then(|(chosen, agreements)| agreements[chosen as usize].as_f64()) {
            say(format!("starts agree to {agree:.2}"), agree >= STARTS_AGREE);
        }
        if let Some(agree) = last("halves").and_then(|halves| halves["agree"].as_f64()) {
            say(format!("models of halves agree on {:.0} % of the frames", 100.0 * agree), agree >= HALVES_AGREE);
        }
        let held_out: Vec<f64> = lines.iter().filter_map(|line| line["held_out"]["elbo"].as_f64()).collect();
        if let Some(kept) = epoch_of_model(&lines).and_then(|line| line["held_out"]["elbo"].as_f64()) {
            let best = held_out.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let by_heart = kept < best - MAY_FALL * best.abs();
            let word = if by_heart { ": learned by heart" } else { "" };
            say(format!("held-out ELBO {kept:.1}, best {best:.1}{word}"), !by_heart);
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
