//! What a part of a path says: who a recording is of, or its class.

use std::path::Path;

use regex::Regex;

/// A pattern for the last components of paths: `{}` is what is looked for, `*` anything within a component.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    regex: Regex,
}

impl Pattern {
    /// The pattern in `text`; None if it is none, since there is no `{}` in it.
    ///
    /// # Errors
    /// If there are two.
    pub fn of(text: &str) -> Result<Option<Self>, String> {
        match text.matches("{}").count() {
            0 => return Ok(None),
            1 => {}
            _ => return Err(format!("'{text}': expected one {{}}, what else differs is *")),
        }
        let escaped = regex::escape(&text.replace("{}", "\u{0}")).replace('\u{0}', "([^/]+)").replace(r"\*", "[^/]*");
        let regex = Regex::new(&format!("(?:^|/){escaped}$")).map_err(|e| e.to_string())?;
        Ok(Some(Self { text: text.to_owned(), regex }))
    }

    /// What stands in a path where the pattern has `{}`.
    ///
    /// # Errors
    /// If the path is none of this pattern.
    pub fn find(&self, path: &Path) -> Result<String, String> {
        let text = path.to_string_lossy().replace(std::path::MAIN_SEPARATOR, "/");
        let found = self.regex.captures(&text).and_then(|captures| captures.get(1));
        found
            .map(|found| found.as_str().to_owned())
            .ok_or_else(|| format!("its path is none of the pattern '{}'", self.text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_finds_a_part_of_a_path() {
        let find = |pattern: &str, path: &str| Pattern::of(pattern).unwrap().unwrap().find(Path::new(path));
        let path = "data/watch/subject-1/external-rotation-left.csv";
        assert_eq!(find("{}/*.csv", path).unwrap(), "subject-1");
        assert_eq!(find("{}-*.csv", path).unwrap(), "external-rotation");
        assert_eq!(find("subject-{}/*", path).unwrap(), "1");
        assert_eq!(find("{}.csv", "left.csv").unwrap(), "left");
        assert!(find("{}.tsv", path).unwrap_err().contains("'{}.tsv'"));
        assert!(find("{}csv", "a.csv").is_ok_and(|found| found == "a."));
        assert!(Pattern::of("exercise").unwrap().is_none());
        assert!(Pattern::of("{}/{}").is_err());
    }
}
