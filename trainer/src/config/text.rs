//! Settings as TOML, and changes to them from files and from the command line.

use std::path::Path;

use super::Config;
use crate::error::{Error, Result};

impl Config {
    /// Reads a TOML file; what it leaves out keeps the value of `self`.
    pub fn merge_file(self, path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|e| Error::config(&name, e))?;
        let changes: toml::Table = toml::from_str(&text).map_err(|e| Error::config(&name, e))?;
        let mut table = self.to_table()?;
        merge(&mut table, changes);
        Self::from_table(table, &name)
    }

    /// Applies `key=value` settings, keys dotted as in the TOML file.
    pub fn set(self, settings: &[String]) -> Result<Self> {
        let mut table = self.to_table()?;
        for setting in settings {
            let (key, value) = setting.split_once('=').ok_or_else(|| Error::config(setting, "expected key=value"))?;
            let slot = find(&mut table, key).ok_or_else(|| Error::config(key, unknown_key(key)))?;
            *slot = parse_value(value);
        }
        Self::from_table(table, "--set")
    }

    /// The settings as TOML, every default written out.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(|e| Error::config("config.toml", e))
    }

    fn to_table(&self) -> Result<toml::Table> {
        toml::Table::try_from(self).map_err(|e| Error::config("config", e))
    }

    fn from_table(table: toml::Table, origin: &str) -> Result<Self> {
        table.try_into().map_err(|e: toml::de::Error| Error::config(origin, e.to_string().trim_end()))
    }
}

fn merge(base: &mut toml::Table, changes: toml::Table) {
    for (key, change) in changes {
        match (base.get_mut(&key), change) {
            (Some(toml::Value::Table(inner)), toml::Value::Table(changes)) => merge(inner, changes),
            (_, change) => {
                base.insert(key, change);
            }
        }
    }
}

fn find<'a>(table: &'a mut toml::Table, key: &str) -> Option<&'a mut toml::Value> {
    match key.split_once('.') {
        None => table.get_mut(key).filter(|v| !v.is_table()),
        Some((head, rest)) => find(table.get_mut(head)?.as_table_mut()?, rest),
    }
}

fn parse_value(text: &str) -> toml::Value {
    // A bare word such as `mean-field` is not TOML; it stands for itself.
    toml::from_str::<toml::Table>(&format!("v = {text}"))
        .ok()
        .and_then(|mut t| t.remove("v"))
        .unwrap_or_else(|| toml::Value::String(text.to_owned()))
}

fn unknown_key(key: &str) -> String {
    let mut known = Vec::new();
    if let Ok(table) = Config::default().to_table() {
        collect_keys("", &table, &mut known);
    }
    let last = key.rsplit('.').next().unwrap_or(key);
    let near: Vec<_> = known.iter().filter(|k| k.rsplit('.').next() == Some(last)).cloned().collect();
    let offer = if near.is_empty() { known } else { near };
    format!("unknown key; known: {}", offer.join(", "))
}

fn collect_keys(prefix: &str, table: &toml::Table, keys: &mut Vec<String>) {
    for (key, value) in table {
        match value {
            toml::Value::Table(inner) => collect_keys(&format!("{prefix}{key}."), inner, keys),
            _ => keys.push(format!("{prefix}{key}")),
        }
    }
}
