//! Which lines of `metrics.jsonl` are about the training that made the model.

use serde_json::Value;

/// Of `lines` those of the last attempt and of the start of stage 1 that was chosen, with the line that chooses it; and how
/// often training began again.
///
/// A start ends with the line of its mixture.
pub fn of_model(mut lines: Vec<Value>) -> (Vec<Value>, u64) {
    let again = lines.iter().rposition(|line| line["restarts"].is_u64());
    let restarts = again.map_or(0, |at| lines[at]["restarts"].as_u64().unwrap_or(0));
    lines.drain(..again.map_or(0, |at| at + 1));
    let chosen = lines.iter().find_map(|line| line["chosen"].as_u64());
    let (mut start, mut over) = (0, false);
    lines.retain(|line| {
        // What comes after the choice is of the start that was chosen.
        over |= line["chosen"].is_u64();
        let stage = line["stage"].as_str();
        let of_start = matches!(stage, Some("pretrain" | "mixture")) || line["counted_on"] == "latents";
        let keep = over || !of_start || chosen.is_none_or(|chosen| chosen == start);
        start += u64::from(stage == Some("mixture"));
        keep
    });
    (lines, restarts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_attempt_and_the_start_that_was_chosen_are_left() {
        let text = r#"{"map_strength":0.5}
{"stage":"pretrain","step":1}
{"restarts":1,"why":"collapsed"}
{"stage":"pretrain","step":2}
{"counted_on":"latents","clusters":2}
{"stage":"mixture","balance":0.1}
{"stage":"pretrain","step":3}
{"counted_on":"latents","clusters":3}
{"stage":"mixture","balance":0.2}
{"chosen":1,"agreements":[0.5,0.5]}
{"stage":"mixture","balance":0.3}
{"stage":"refine","step":4}"#;
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let (left, restarts) = of_model(lines.clone());
        assert_eq!((left, restarts), (lines[6..].to_vec(), 1));
        assert_eq!(of_model(lines[..2].to_vec()), (lines[..2].to_vec(), 0));
    }
}
