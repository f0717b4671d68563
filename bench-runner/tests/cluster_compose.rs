//! `docker-compose.yml` and the local provider start brokers with the same settings, shown without an engine: the
//! image's own entry point turns the compose file's environment into properties.

mod held;

use held::Held;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// Where the two must differ: addresses, ports, paths, and the listener for proxies, which only `local` has.
const DIFFER: [&str; 5] = [
    "advertised.listeners",
    "controller.quorum.voters",
    "listener.security.protocol.map",
    "listeners",
    "log.dirs",
];

type Pairs = BTreeMap<String, String>;

/// Environment lines by the block that they stand in. Only the shape that our own file has is understood.
fn blocks(compose: &str) -> BTreeMap<String, Pairs> {
    let mut blocks: BTreeMap<String, Pairs> = BTreeMap::new();
    let mut block = String::new();
    for line in compose.lines() {
        let indent = line.len() - line.trim_start().len();
        let Some((key, value)) = line.trim().split_once(':') else { continue };
        if key.starts_with("KAFKA_") || key == "CLUSTER_ID" {
            let value = value.trim().strip_prefix('"').and_then(|value| value.strip_suffix('"'));
            let value = value.expect("environment values stand in quotes").to_owned();
            blocks.entry(block.clone()).or_default().insert(key.to_owned(), value);
        } else if indent == 0 || (indent == 2 && value.trim().is_empty()) {
            block = key.to_owned();
        }
    }
    blocks
}

/// What the entry point writes for this environment.
fn properties_by_image((java, class_path): (&str, &str), environment: &Pairs, place: &Path) -> Pairs {
    let log4j =
        "Configuration:\n  Loggers:\n    Root: {level: INFO}\n    Logger: [{name: kafka, level: INFO}]\n";
    for directory in ["default", "mounted", "final"] {
        std::fs::create_dir_all(place.join(directory)).expect("created");
    }
    for (name, text) in [("server.properties", ""), ("log4j2.yaml", log4j), ("tools-log4j2.yaml", log4j)] {
        std::fs::write(place.join("default").join(name), text).expect("written");
    }
    let mut command = Command::new(java);
    command.args(["-cp", class_path, "kafka.docker.KafkaDockerWrapper", "setup"]);
    for (option, directory) in [("default", "default"), ("mounted", "mounted"), ("final", "final")] {
        command.arg(format!("--{option}-configs-dir")).arg(place.join(directory));
    }
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).envs(environment);
    // The entry point formats the storage as well, which must not happen outside the test's directory.
    let output = command.env("KAFKA_LOG_DIRS", place.join("data")).output().expect("java starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    read(&place.join("final/server.properties"))
}

fn read(path: &Path) -> Pairs {
    let text = std::fs::read_to_string(path).expect("properties");
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    pairs
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .filter(|(key, _)| !DIFFER.contains(&&**key))
        .collect()
}

#[test]
fn compose_and_local_give_brokers_and_controller_the_same_settings() {
    let state = tempfile::tempdir().expect("a directory");
    let held = Held::start(state.path(), &[]);
    let (java, class_path) = held.java();
    let compose = include_str!("../../docker-compose.yml");
    let blocks = blocks(compose);
    for (service, inherited) in [
        ("controller", &["x-settings"][..]),
        ("broker-1", &["x-settings", "x-broker-settings"]),
        ("broker-2", &["x-settings", "x-broker-settings"]),
        ("broker-3", &["x-settings", "x-broker-settings"]),
    ] {
        let mut environment = Pairs::new();
        for block in inherited.iter().chain([&service]) {
            environment.extend(blocks[*block].clone());
        }
        let theirs = properties_by_image((&java, &class_path), &environment, &state.path().join(service));
        let ours = read(&held.directory().join(service).join("server.properties"));
        assert!(ours.len() > 20, "{ours:?}");
        assert_eq!(theirs, ours, "{service}");
    }
    held.end(true);
}
