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
    let mut start = 0;
    lines.retain(|line| {
        let stage = line["stage"].as_str();
        let of_start = matches!(stage, Some("pretrain" | "mixture")) || line["counted_on"] == "latents";
        let keep = !of_start || chosen.is_none_or(|chosen| chosen == start);
        start += u64::from(stage == Some("mixture"));
        keep
    });
    (lines, restarts)
}

/// Of `lines` of [`of_model`] that of the epoch whose weights the model has: the last one, unless stage 3 kept another's.
pub fn epoch_of_model(lines: &[Value]) -> Option<&Value> {
    let last = lines.iter().rfind(|line| line["epoch"].is_u64())?;
    let of_stage = |line: &&Value| line["stage"] == last["stage"];
    let kept = lines.iter().filter(of_stage).find_map(|line| line["kept_epoch"].as_u64());
    let at_epoch = |line: &&Value| line["epoch"].as_u64() == kept;
    kept.map_or(Some(last), |_| lines.iter().filter(of_stage).find(at_epoch))
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
{"stage":"refine","step":4}"#;
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let (left, restarts) = of_model(lines.clone());
        assert_eq!((left, restarts), (lines[6..].to_vec(), 1));
        assert_eq!(of_model(lines[..2].to_vec()), (lines[..2].to_vec(), 0));
    }

    #[test]
    fn the_epoch_of_the_model_is_the_last_or_the_one_that_was_kept() {
        let text = r#"{"stage":"pretrain","epoch":1}
{"stage":"pretrain","epoch":2}
{"stage":"pretrain","kept_epoch":1}
{"stage":"mixture"}
{"stage":"refine","epoch":1}
{"stage":"refine","epoch":2}
{"stage":"refine","kept_epoch":1}"#;
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(epoch_of_model(&lines[..6]), Some(&lines[5]));
        assert_eq!(epoch_of_model(&lines), Some(&lines[4]));
        assert_eq!(epoch_of_model(&[]), None);
    }
}
