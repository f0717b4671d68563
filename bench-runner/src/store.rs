//! Results on disk: a manifest and one directory for each cell, written whole or not at all. Knows files, not Kafka.
//!
//! ```text
//! results/<run>/manifest.json
//! results/<run>/cells/<cell>/result.json, and the cell's evidence beside it
//! ```

use bench_model::result::{CellResult, Manifest, SCHEMA_VERSION};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const MANIFEST: &str = "manifest.json";
const CELLS: &str = "cells";
const RESULT: &str = "result.json";

/// What went wrong with which file.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum StoreError {
    /// An act on a file failed.
    #[error("could not {act} {}: {source}", path.display())]
    Io {
        /// What was tried.
        act: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The directory is no run.
    #[error("{} {why}", path.display())]
    NoRun {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
        /// What to give instead.
        #[help]
        advice: String,
    },
    /// A run of that name exists.
    #[error("{} exists already", path.display())]
    #[diagnostic(help("results are never written over; start the run again or give another --results"))]
    Exists {
        /// The directory.
        path: PathBuf,
    },
    /// Not the document that it should be.
    #[error("could not read {} as stored by schema {SCHEMA_VERSION}: {source}", path.display())]
    #[diagnostic(help("the file was changed or cut off; restore it, or run the cell again"))]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What the parser says.
        source: serde_json::Error,
    },
    /// Stored by an incompatible version.
    #[error("{} is of schema {found}, this program reads {SCHEMA_VERSION}", path.display())]
    #[diagnostic(help("use the bench-runner version named by `revision` in the run's {MANIFEST}"))]
    Schema {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: String,
    },
}

fn io_error(act: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Io { act, path, source }
}

/// The directory of a run that is being written.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
}

impl RunDir {
    /// A new run below `results`, which is created where missing.
    ///
    /// # Errors
    /// A run of this id exists, or the directories cannot be made.
    pub fn create(results: &Path, run: &str) -> Result<RunDir, StoreError> {
        fs::create_dir_all(results).map_err(io_error("create", results))?;
        let path = results.join(run);
        if let Err(error) = fs::create_dir(&path) {
            return Err(match error.kind() {
                io::ErrorKind::AlreadyExists => StoreError::Exists { path },
                _ => io_error("create", &path)(error),
            });
        }
        let cells = path.join(CELLS);
        fs::create_dir(&cells).map_err(io_error("create", &cells))?;
        Ok(RunDir { path })
    }

    /// Where the run is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Replaces the manifest at once.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_manifest(&self, manifest: &Manifest) -> Result<(), StoreError> {
        let path = self.path.join(MANIFEST);
        let aside = self.path.join(format!(".{MANIFEST}"));
        write_json(&aside, manifest)?;
        fs::rename(&aside, &path).map_err(io_error("rename into place", &path))?;
        sync_directory(&self.path)
    }

    /// A hidden directory in which a cell is built; it vanishes unless it is committed.
    ///
    /// # Errors
    /// The directory cannot be made.
    pub fn cell_aside(&self, cell: &str) -> Result<CellDir, StoreError> {
        let cells = self.path.join(CELLS);
        let aside = cells.join(format!(".{cell}"));
        fs::create_dir(&aside).map_err(io_error("create", &aside))?;
        Ok(CellDir { aside, place: cells.join(cell), committed: false })
    }
}

/// A cell that is being written.
#[derive(Debug)]
pub struct CellDir {
    aside: PathBuf,
    place: PathBuf,
    committed: bool,
}

impl CellDir {
    /// Where its files go until it is committed.
    pub fn path(&self) -> &Path {
        &self.aside
    }

    /// Notes the checksum of every evidence file in the result, writes it, and puts the whole cell in its place.
    ///
    /// # Errors
    /// A file cannot be read, written, or moved; the cell is then not stored at all.
    pub fn commit(mut self, result: &mut CellResult) -> Result<(), StoreError> {
        result.evidence = checksums(&self.aside)?;
        for name in result.evidence.keys() {
            let path = self.aside.join(name);
            File::open(&path).and_then(|file| file.sync_all()).map_err(io_error("sync", &path))?;
        }
        write_json(&self.aside.join(RESULT), result)?;
        sync_directory(&self.aside)?;
        fs::rename(&self.aside, &self.place).map_err(io_error("rename into place", &self.place))?;
        self.committed = true;
        self.place.parent().map_or(Ok(()), sync_directory)
    }
}

impl Drop for CellDir {
    fn drop(&mut self) {
        if !self.committed {
            // Half a cell is no result; if even this fails, the hidden name keeps it out of every report.
            let _ = fs::remove_dir_all(&self.aside);
        }
    }
}

/// A run as stored.
#[derive(Debug, Clone)]
pub struct StoredRun {
    /// The manifest.
    pub manifest: Manifest,
    /// Finished cells, in the order of the plan.
    pub cells: Vec<StoredCell>,
}

/// A cell as stored.
#[derive(Debug, Clone)]
pub struct StoredCell {
    /// Its result.
    pub result: CellResult,
    /// Its directory.
    pub directory: PathBuf,
}

impl StoredCell {
    /// Evidence files that are not what they were when the cell was stored: changed, missing or added.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn altered_evidence(&self) -> Result<Vec<String>, StoreError> {
        let now = checksums(&self.directory)?;
        let then = &self.result.evidence;
        let mut names: Vec<String> =
            now.keys().chain(then.keys()).filter(|name| now.get(*name) != then.get(*name)).cloned().collect();
        names.sort();
        names.dedup();
        Ok(names)
    }
}

/// Says what to give instead: a run in this directory, if there is one.
fn no_run(path: &Path) -> StoreError {
    let why = match (path.is_dir(), path.exists()) {
        (true, _) => format!("is no run: it has no {MANIFEST}"),
        (false, true) => "is no run: it is a file".into(),
        (false, false) => "does not exist".into(),
    };
    let entries = fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    // Names begin with the time.
    let advice = match entries.filter(|entry| entry.join(MANIFEST).is_file()).max() {
        Some(latest) => format!("its latest run is {}", latest.display()),
        None => {
            "give the directory of a run, such as `run` names at its end: a directory below results/".into()
        }
    };
    StoreError::NoRun { path: path.to_owned(), why, advice }
}

/// Loads a run; cells that were never finished are not part of it.
///
/// # Errors
/// No run, an unreadable or malformed file, or another major version of the schema.
pub fn load(path: &Path) -> Result<StoredRun, StoreError> {
    let file = path.join(MANIFEST);
    if !file.is_file() {
        return Err(no_run(path));
    }
    let manifest: Manifest = read_json(&file)?;
    let cells = path.join(CELLS);
    let mut stored = Vec::new();
    for entry in fs::read_dir(&cells).map_err(io_error("list", &cells))? {
        let directory = entry.map_err(io_error("list", &cells))?.path();
        let hidden = directory.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
        if directory.is_dir() && !hidden {
            stored.push(StoredCell { result: read_json(&directory.join(RESULT))?, directory });
        }
    }
    let place: BTreeMap<&str, usize> =
        manifest.plan.iter().enumerate().map(|(at, cell)| (cell.id.as_str(), at)).collect();
    stored.sort_by_key(|cell| {
        let id = &cell.result.cell.id;
        (place.get(id.as_str()).copied().unwrap_or(usize::MAX), id.clone())
    });
    Ok(StoredRun { manifest, cells: stored })
}

/// Names of hidden directories among the cells: what a killed run was building.
///
/// # Errors
/// The directory of cells cannot be listed.
pub fn half_built(path: &Path) -> Result<Vec<String>, StoreError> {
    let cells = path.join(CELLS);
    let mut names = Vec::new();
    for entry in fs::read_dir(&cells).map_err(io_error("list", &cells))? {
        let entry = entry.map_err(io_error("list", &cells))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') && entry.path().is_dir() {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn write_json(path: &Path, document: &impl Serialize) -> Result<(), StoreError> {
    let mut text = serde_json::to_vec_pretty(document)
        .map_err(|source| StoreError::Malformed { path: path.to_owned(), source })?;
    text.push(b'\n');
    let write = || {
        let mut file = File::create(path)?;
        file.write_all(&text)?;
        file.sync_all()
    };
    write().map_err(io_error("write", path))
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, StoreError> {
    #[derive(serde::Deserialize)]
    struct Versioned {
        schema: String,
    }
    let bytes = fs::read(path).map_err(io_error("read", path))?;
    let malformed = |source| StoreError::Malformed { path: path.to_owned(), source };
    // The version first: a document of another major version may have any shape.
    let Versioned { schema } = serde_json::from_slice(&bytes).map_err(malformed)?;
    let major = |version: &str| version.split('.').next().unwrap_or_default().to_owned();
    if major(&schema) != major(SCHEMA_VERSION) {
        return Err(StoreError::Schema { path: path.to_owned(), found: schema });
    }
    serde_json::from_slice(&bytes).map_err(malformed)
}

/// CRC-32C in hexadecimal of every file below `directory` except the result, by relative path.
fn checksums(directory: &Path) -> Result<BTreeMap<String, String>, StoreError> {
    let mut sums = BTreeMap::new();
    let mut open = vec![directory.to_owned()];
    while let Some(inside) = open.pop() {
        for entry in fs::read_dir(&inside).map_err(io_error("list", &inside))? {
            let path = entry.map_err(io_error("list", &inside))?.path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let name = path.strip_prefix(directory).unwrap_or(&path).to_string_lossy().into_owned();
            if name != RESULT {
                let bytes = fs::read(&path).map_err(io_error("read", &path))?;
                sums.insert(name, format!("{:08x}", crc32c::crc32c(&bytes)));
            }
        }
    }
    Ok(sums)
}

fn sync_directory(path: &Path) -> Result<(), StoreError> {
    File::open(path).and_then(|directory| directory.sync_all()).map_err(io_error("sync", path))
}

#[cfg(test)]
mod tests;
