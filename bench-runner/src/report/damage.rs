//! Stored evidence that is missing, torn or changed: found by its checksums, and said aloud wherever figures are shown.

use crate::store::StoredCell;
use bench_model::latency::Set;
use std::fs;

/// The kind under which damage stands beside the stored caveats.
pub const DAMAGED: &str = "damaged-evidence";
/// What to do about it.
pub const ADVICE: &str = "the figures are those of result.json, stored before the damage, and nothing can prove them \
                          any more; restore the file, or run the cell again";

/// The file that holds every latency series of a cell.
pub const HISTOGRAMS: &str = "latency.hlog";

/// One file that is not what was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Id of the cell.
    pub cell: String,
    /// The file, relative to the cell's directory.
    pub file: String,
    /// What is wrong with it, and what follows.
    pub what: String,
}

impl Damage {
    /// As one line.
    pub fn line(&self) -> String {
        format!("{}: {} {}", self.cell, self.file, self.what)
    }
}

/// All damage of one cell.
pub fn of(cell: &StoredCell) -> Vec<Damage> {
    let damage =
        |file: &str, what: String| Damage { cell: cell.result.cell.id.clone(), file: file.to_owned(), what };
    let mut names = match cell.altered_evidence() {
        Ok(names) => names,
        Err(error) => return vec![damage("evidence", format!("cannot be read: {error}"))],
    };
    let histograms = cell.directory.join(HISTOGRAMS);
    if !cell.result.latencies.is_empty() && !histograms.exists() && !names.iter().any(|it| it == HISTOGRAMS) {
        names.push(HISTOGRAMS.to_owned());
    }
    names.iter().map(|name| damage(name, state(cell, name))).collect()
}

fn state(cell: &StoredCell, name: &str) -> String {
    let path = cell.directory.join(name);
    let follows = if name == HISTOGRAMS { "; the cell has no percentile curves" } else { "" };
    if !path.exists() {
        return format!("is missing{follows}");
    }
    if !cell.result.evidence.contains_key(name) {
        return "was added after the cell was stored".into();
    }
    let torn = match fs::read_to_string(&path) {
        Err(error) => Some(error.to_string()),
        Ok(text) if name == HISTOGRAMS => Set::from_text(&text).err().map(|error| error.to_string()),
        Ok(text) if name.ends_with(".jsonl") => text
            .lines()
            .last()
            .is_none_or(|line| !line.starts_with("{\"end\":"))
            .then(|| "its closing line is missing".to_owned()),
        Ok(_) => None,
    };
    match torn {
        Some(why) => format!("is torn ({why}){follows}"),
        None => format!("was changed after the cell was stored{follows}"),
    }
}
