//! Tables of answers, as `predict` writes them.
#![expect(clippy::unwrap_used, reason = "a helper that fails is the test's own message")]

/// The columns of a table by their names, a list of fields a row.
pub fn columns(table: &str, names: &[&str]) -> Vec<Vec<String>> {
    let mut reader = csv::Reader::from_reader(table.as_bytes());
    let header = reader.headers().unwrap().clone();
    let places: Vec<usize> = names.iter().map(|name| header.iter().position(|h| h == *name).unwrap()).collect();
    reader.records().map(|row| places.iter().map(|&place| row.as_ref().unwrap()[place].to_owned()).collect()).collect()
}
