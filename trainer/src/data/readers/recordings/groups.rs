//! Who recordings are of, and which of them are held out.

use std::collections::HashMap;

use super::super::find::few;
use super::super::{ReadProblem, Role};
use super::cut::{Cutting, counted};

/// Groups that are told by name.
const SHOWN: usize = 8;

/// Names by number, in the order in which they come.
#[derive(Default)]
pub struct Groups {
    /// The names.
    pub names: Vec<String>,
    numbers: HashMap<String, u32>,
}

impl Groups {
    /// The number of a name, a new one if it comes for the first time.
    pub fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = self.names.len() as u32;
        self.names.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        number
    }

    /// The groups of windows in words, each with how many it has.
    pub fn told(&self, of_windows: impl Iterator<Item = u32>) -> String {
        let mut windows = vec![0; self.names.len()];
        of_windows.for_each(|group| windows[group as usize] += 1);
        let told = self.names.iter().zip(&windows).take(SHOWN).map(|(name, count)| format!("{name} ({count})"));
        let more = if self.names.len() > SHOWN { ", ..." } else { "" };
        let told = told.collect::<Vec<_>>().join(", ");
        format!("{} by their windows: {told}{more}", counted(self.names.len(), "group"))
    }
}

/// Numbers of the groups that are held out.
pub fn held_out(cutting: &Cutting<'_>, groups: &[String], notes: &mut Vec<String>) -> Result<Vec<u32>, ReadProblem> {
    let said = &cutting.said.hold_out;
    let share = match &said[..] {
        [one] if !groups.contains(one) => one.parse::<f64>().ok(),
        _ => None,
    };
    let found: Vec<u32> = match share {
        Some(share) if share > 0.0 && share < 1.0 => {
            let count = ((share * groups.len() as f64).round() as usize).max(1);
            // Spread over all, whatever they are sorted by.
            (0..count).map(|n| ((2 * n + 1) * groups.len() / (2 * count)) as u32).collect()
        }
        Some(share) => {
            return Err(format!("--hold-out {share}: expected a share between 0 and 1, or names of groups").into());
        }
        None => {
            let number = |name: &String| groups.iter().position(|group| group == name).map(|at| at as u32);
            let missing = said.iter().find(|name| number(name).is_none());
            if let Some(name) = missing {
                return Err(format!("--hold-out {name}: there is no such group; there are {}", few(groups)).into());
            }
            said.iter().filter_map(number).collect()
        }
    };
    if !found.is_empty() {
        let names: Vec<String> = found.iter().map(|at| groups[*at as usize].clone()).collect();
        notes.push(format!("held out: {} of {} groups, {}", names.len(), groups.len(), few(&names)));
    }
    if found.len() == groups.len() && cutting.role == Role::Fit {
        return Err("--hold-out names every group, so that none is left to train on".into());
    }
    Ok(found)
}
