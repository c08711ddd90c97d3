//! Curves of the training that made the model, from `metrics.jsonl`.

use std::path::Path;

use serde_json::Value;

use super::chart::{Line, Mark};
use crate::error::{Error, Result};
use crate::fit::of_model;

/// Curves over the steps of all stages, one after the other.
#[derive(Clone, Debug, Default)]
pub struct History {
    lines: Vec<(f64, Value)>,
    /// Places where a stage ends and the next begins.
    pub marks: Vec<Mark>,
    /// Number of steps of all stages together.
    pub steps: f64,
    /// How many clusters there are, where that was to be found: the last count, as `metrics.jsonl` has it.
    pub counted: Option<Value>,
    /// The lines of stages that went on with the weights of an earlier epoch, as `metrics.jsonl` has them.
    pub kept: Vec<Value>,
    /// Number of times that training began again from other weights; the curves are of the last
    /// attempt, and of the start of stage 1 that was chosen.
    pub restarts: u64,
}

impl History {
    /// Reads the history of a run directory; None if it keeps no `metrics.jsonl`.
    ///
    /// # Errors
    /// [`Error::Model`] if the file cannot be read, or a line of it is no JSON.
    pub fn read(run: &Path) -> Result<Option<Self>> {
        let path = run.join("metrics.jsonl");
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::model(&path, e)),
        };
        let parse = |(number, line)| {
            serde_json::from_str(line).map_err(|e| Error::model(&path, format!("line {}: {e}", number + 1)))
        };
        let (lines, restarts) = of_model(text.lines().enumerate().map(parse).collect::<Result<_>>()?);
        let mut history = Self { restarts, ..Self::default() };
        let mut stage = "";
        let mut before = 0.0;
        for said in lines {
            if said["counted_on"].is_string() {
                history.counted = Some(said);
                continue;
            }
            if said["kept_epoch"].is_u64() {
                history.kept.push(said);
                continue;
            }
            let name = match said["stage"].as_str() {
                Some("pretrain") => "1 pretrain",
                Some("mixture") => "2 mixture",
                Some("refine") => "3 refine",
                _ => continue,
            };
            if name != stage {
                (stage, before) = (name, history.steps);
                // The mixture takes no step, so that its name would stand where the next one does.
                if name != "2 mixture" {
                    history.marks.push(Mark { x: before, name });
                }
            }
            history.steps = history.steps.max(before + said["step"].as_f64().unwrap_or(0.0));
            history.lines.push((history.steps, said));
        }
        Ok(Some(history))
    }

    /// The steps from the stage in which `curves` begin to the end of training.
    pub fn span(&self, curves: &[Line]) -> [f64; 2] {
        let first = curves.iter().filter_map(|c| c.points.first()).map(|p| p[0]).fold(self.steps, f64::min);
        // EM, whose point stands where stage 3 begins, counts as part of it.
        let begin = self.marks.iter().map(|m| m.x).filter(|x| *x <= first).fold(0.0, f64::max);
        [begin, self.steps]
    }

    /// Curves of the value under `key`, and of that under `held_out.{key}`.
    pub fn curves(&self, key: &str) -> [Line; 2] {
        let points = |value: &dyn Fn(&Value) -> Option<f64>| {
            self.lines.iter().filter_map(|(step, said)| Some([*step, value(said)?])).collect()
        };
        [
            Line { name: "training", points: points(&|said| said[key].as_f64()) },
            Line { name: "held-out", points: points(&|said| said["held_out"][key].as_f64()) },
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_follow_each_other_and_a_restart_forgets() {
        let dir = tempfile::tempdir().unwrap();
        assert!(History::read(dir.path()).unwrap().is_none());
        let text = r#"{"stage":"pretrain","step":10,"reconstruction":-9}
{"restarts":1,"why":"collapsed"}
{"stage":"pretrain","step":10,"reconstruction":-5}
{"stage":"pretrain","step":20,"reconstruction":-4}
{"stage":"mixture","balance":0.9}
{"stage":"refine","step":5,"reconstruction":-3,"balance":0.95,"held_out":{"reconstruction":-3.5}}
{"stage":"refine","step":5,"kept_epoch":1,"epochs":2,"gain":0.5}
"#;
        let path = dir.path().join("metrics.jsonl");
        std::fs::write(&path, text).unwrap();
        let history = History::read(dir.path()).unwrap().unwrap();
        assert_eq!((history.steps, history.restarts, history.kept.len()), (25.0, 1, 1));
        assert_eq!(history.marks.iter().map(|m| m.x).collect::<Vec<_>>(), [0.0, 20.0]);
        let [training, held_out] = history.curves("reconstruction");
        assert_eq!(training.points, [[10.0, -5.0], [20.0, -4.0], [25.0, -3.0]]);
        assert_eq!(held_out.points, [[25.0, -3.5]]);
        assert_eq!(history.span(&history.curves("reconstruction")), [0.0, 25.0]);
        assert_eq!(history.span(&history.curves("balance")), [20.0, 25.0]);
        assert_eq!(history.curves("balance")[0].points, [[20.0, 0.9], [25.0, 0.95]]);

        std::fs::write(&path, format!("{text}{{\"stage\"")).unwrap();
        assert!(History::read(dir.path()).unwrap_err().to_string().contains("line 8"));
    }
}
