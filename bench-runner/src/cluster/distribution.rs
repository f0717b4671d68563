//! Kafka's jars and what is derived from them once: the formatter's checkpoint and the class-data archive's place.
//!
//! May start Maven and the formatter, never a broker.

use super::broker_process::guard;
use super::{ClusterError, places};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

const POM: &str = include_str!("../../cluster/pom.xml");

/// An installed Kafka and the Java that runs it.
#[derive(Debug, Clone)]
pub struct Distribution {
    /// From the names of its jars.
    pub version: String,
    /// All jars, in a fixed order: the class-data archive depends on it.
    pub class_path: String,
    /// Cache directory for what is derived from these jars.
    pub derived: PathBuf,
    /// The `java` to run.
    pub java: PathBuf,
    /// First line of `java -version`.
    pub java_version: String,
}

/// Finds Kafka and Java; the pinned Kafka comes through Maven the first time (4-8 s), from the cache afterwards.
pub async fn find(
    kafka_home: Option<PathBuf>,
    progress: &mut dyn FnMut(&str),
) -> Result<Distribution, ClusterError> {
    let (java, java_version) = java().await?;
    let (jars_directory, derived) = match kafka_home {
        Some(home) => {
            let home = std::path::absolute(&home)
                .map_err(|error| ClusterError::failed(format!("find {}", home.display()), error))?;
            let name = format!("kafka-home-{:08x}", crc32c::crc32c(home.as_os_str().as_encoded_bytes()));
            (home.join("libs"), places::cache()?.join(name))
        }
        None => {
            let place = pinned(progress).await?;
            (place.join("libs"), place)
        }
    };
    let jars = jars_of(&jars_directory)?;
    let version = version_of(&jars).ok_or_else(|| {
        ClusterError::unfit(
            format!("{} holds no kafka-server-VERSION.jar", jars_directory.display()),
            "give --kafka-home an unpacked Kafka 4 (the directory with bin/ and libs/), or delete this directory from the cache",
        )
    })?;
    std::fs::create_dir_all(&derived)
        .map_err(|error| ClusterError::failed(format!("create {}", derived.display()), error))?;
    let class_path = jars.iter().map(|jar| jar.display().to_string()).collect::<Vec<_>>().join(":");
    Ok(Distribution { version, class_path, derived, java, java_version })
}

impl Distribution {
    /// Where the formatter's `bootstrap.checkpoint` lies, made by it if this is the first time (about 1 s).
    pub async fn checkpoint(&self, progress: &mut dyn FnMut(&str)) -> Result<PathBuf, ClusterError> {
        let place = self.derived.join(format!("bootstrap-{}.checkpoint", self.version));
        if place.exists() {
            return Ok(place);
        }
        progress("formatting a directory for the first time");
        let act = "let Kafka's formatter make a checkpoint";
        let failed = |error: std::io::Error| ClusterError::failed(act, error);
        let aside = self.derived.join(format!("format-{}", std::process::id()));
        std::fs::create_dir_all(&aside).map_err(failed)?;
        let properties = aside.join("controller.properties");
        let data = aside.join("data");
        let text = format!(
            "node.id=1\nprocess.roles=controller\nlisteners=CONTROLLER://127.0.0.1:1\n\
             controller.quorum.voters=1@127.0.0.1:1\ncontroller.listener.names=CONTROLLER\nlog.dirs={}\n",
            data.display()
        );
        std::fs::write(&properties, text).map_err(failed)?;
        let mut command = self.tool("kafka.tools.StorageTool");
        command.args(["format", "-t", &super::storage::random_id().map_err(failed)?, "-c"]).arg(&properties);
        let made = run_to_end(command, act).await;
        let kept =
            made.and_then(|_| std::fs::rename(data.join("bootstrap.checkpoint"), &place).map_err(failed));
        // Left-overs of the formatter are of no use to anybody, and the outcome is already known.
        let _ = std::fs::remove_dir_all(&aside);
        kept.map(|()| place)
    }

    /// One of Kafka's own tools, without arguments yet.
    pub fn tool(&self, class: &str) -> Command {
        let mut command = Command::new(&self.java);
        command.args(["-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", &self.class_path, class]);
        command
    }
}

async fn java() -> Result<(PathBuf, String), ClusterError> {
    let java = match std::env::var_os("JAVA_HOME").filter(|home| !home.is_empty()) {
        Some(home) => PathBuf::from(home).join("bin/java"),
        None => PathBuf::from("java"),
    };
    let advice =
        "install a Java 17 runtime (Debian: apt-get install openjdk-17-jre-headless) or set JAVA_HOME";
    let mut command = Command::new(&java);
    command.arg("-version");
    let output = guard(command.stdin(Stdio::null())).output().await.map_err(|error| {
        ClusterError::unfit(format!("{} does not start: {error}", java.display()), advice)
    })?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let version = text.lines().find(|line| line.contains(" version \"")).unwrap_or_default().to_owned();
    let major = version.split('"').nth(1).and_then(|number| number.split('.').next()?.parse::<u32>().ok());
    if major.is_some_and(|major| major >= 17) {
        Ok((java, version))
    } else {
        Err(ClusterError::unfit(
            format!("{} is no Java 17 or newer: {}", java.display(), text.trim()),
            advice,
        ))
    }
}

/// The cache's copy of the pinned version; built aside and renamed, one builder at a time.
async fn pinned(progress: &mut dyn FnMut(&str)) -> Result<PathBuf, ClusterError> {
    let version = POM
        .split_once("<kafka.version>")
        .and_then(|(_, rest)| rest.split_once('<'))
        .map(|(version, _)| version)
        .ok_or_else(|| {
            ClusterError::failed("read the pinned Kafka version", "no kafka.version in pom.xml")
        })?;
    let cache = places::cache()?;
    // The text of the POM is part of the name: another log4j is another installation.
    let place = cache.join(format!("kafka-{version}-{:08x}", crc32c::crc32c(POM.as_bytes())));
    if place.exists() {
        return Ok(place);
    }
    let failed = |error: std::io::Error| {
        ClusterError::failed(format!("install Kafka into {}", place.display()), error)
    };
    std::fs::create_dir_all(&cache).map_err(failed)?;
    let _lock = lock(&cache.join("install.lock"), progress).await.map_err(failed)?;
    if place.exists() {
        return Ok(place);
    }
    progress(&format!("fetching Kafka {version} through Maven (once)"));
    let aside = cache.join("installing");
    let _ = std::fs::remove_dir_all(&aside); // what an interrupted installation left; absent is fine
    std::fs::create_dir_all(&aside).map_err(failed)?;
    let pom = aside.join("pom.xml");
    std::fs::write(&pom, POM).map_err(failed)?;
    let mut command = Command::new("mvn");
    command.args(["-B", "-q", "-f"]).arg(&pom).arg("dependency:copy-dependencies");
    command.arg(format!("-DoutputDirectory={}", aside.join("libs").display()));
    run_to_end(command, "fetch Kafka through Maven").await?;
    std::fs::rename(&aside, &place).map_err(failed)?;
    Ok(place)
}

/// An exclusive lock on a file, polled so that the runtime can still hear Ctrl-C.
async fn lock(path: &Path, progress: &mut dyn FnMut(&str)) -> std::io::Result<File> {
    let file = File::options().create(true).truncate(false).write(true).open(path)?;
    let mut told = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if !told => {
                progress("waiting for another run that is installing Kafka");
                told = true;
            }
            Err(TryLockError::WouldBlock) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// Runs a command to its end and returns what it printed; an error tells what else it said.
pub(super) async fn run_to_end(mut command: Command, act: &str) -> Result<String, ClusterError> {
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    let output = guard(command.stdin(Stdio::null())).output().await.map_err(|error| {
        ClusterError::unfit(
            format!("{act}: {program} does not start: {error}"),
            "install it (Debian: apt-get install maven), or give --kafka-home an unpacked Kafka distribution",
        )
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let told: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).take(5).collect();
    Err(ClusterError::unfit(
        format!("{act}: {program} ended with {}: {}", output.status, told.join(" | ")),
        "look at what it says; without a network, give --kafka-home an unpacked Kafka distribution",
    ))
}

fn jars_of(directory: &Path) -> Result<Vec<PathBuf>, ClusterError> {
    let entries = std::fs::read_dir(directory).map_err(|error| {
        ClusterError::unfit(
            format!("cannot read {}: {error}", directory.display()),
            "give --kafka-home an unpacked Kafka distribution (the directory with bin/ and libs/)",
        )
    })?;
    let mut jars: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jar"))
        .collect();
    jars.sort();
    Ok(jars)
}

fn version_of(jars: &[PathBuf]) -> Option<String> {
    jars.iter().find_map(|jar| {
        let name = jar.file_stem()?.to_str()?.strip_prefix("kafka-server-")?;
        name.starts_with(|first: char| first.is_ascii_digit()).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_the_server_jar_and_no_other() {
        let jars = ["kafka-clients-4.3.1.jar", "kafka-server-common-4.2.0.jar", "kafka-server-4.3.1.jar"];
        assert_eq!(version_of(&jars.map(PathBuf::from)), Some("4.3.1".to_owned()));
        assert_eq!(version_of(&[PathBuf::from("kafka-server-common-4.2.0.jar")]), None);
    }
}
