//! Where and how a run took place: client, cluster, host, warm-up, command, profiles.

use super::figures::{bytes, three_digits};
use super::lines::counted;
use super::page::Block;
use super::table::Table;
use super::view::View;
use bench_model::result::{ClusterFacts, Warm};

/// The last blocks of a page.
pub fn describe(view: &View, blocks: &mut Vec<Block>) {
    let manifest = &view.run.manifest;
    let host = &manifest.host;
    let cluster = &manifest.cluster;
    let mut pairs = vec![
        ("client".to_owned(), manifest.client.clone()),
        ("cluster".into(), kind(cluster)),
        ("bench-runner".into(), manifest.revision.clone()),
        ("system".into(), host.os.clone()),
        ("CPU".into(), format!("{}, {} logical", host.cpu, host.cores)),
        ("memory".into(), bytes(host.memory_bytes as f64)),
        ("disk".into(), host.disk.clone()),
        ("started, ended".into(), format!("{}, {}", manifest.started, manifest.ended)),
    ];
    pairs.extend(cluster.start_s.map(|start_s| ("cluster start".into(), format!("{start_s:.1} s"))));
    pairs.extend(cluster.warm.as_ref().map(|warm| ("broker warm-up".into(), warm_up(warm))));
    pairs.extend(cluster.facts.iter().map(|(key, value)| (key.clone(), value.clone())));
    pairs.extend(cluster.features.iter().map(|(key, value)| (key.clone(), value.clone())));
    let mut table = Table::new(["what", "value"]);
    for (what, value) in pairs.into_iter().filter(|(_, value)| !value.is_empty()) {
        table.row([what, value]);
    }
    blocks.push(Block::Heading(2, "Environment".into()));
    blocks.push(Block::Table(table));
    blocks.push(Block::Heading(2, "To do it again".into()));
    blocks.push(Block::Code(manifest.command.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")));
    for profile in &manifest.profiles {
        let mut inner = vec![Block::Code(profile.text.clone())];
        if !profile.overrides.is_empty() {
            inner.push(Block::Text(format!("overridden: {}", profile.overrides.join(", "))));
        }
        blocks.push(Block::Details(format!("Profile {}", profile.name), inner));
    }
}

/// The mock's version says by itself what it is.
fn kind(cluster: &ClusterFacts) -> String {
    let provider = if cluster.provider == "mock" { String::new() } else { format!("{}: ", cluster.provider) };
    format!("{provider}{}, {}", cluster.version, counted(cluster.brokers.into(), "broker"))
}

/// What the warm-up reached: its last windows, and how much of the machine they left idle.
fn warm_up(warm: &Warm) -> String {
    const SHOWN: usize = 5;
    fn last(values: &[f64], scale: f64) -> String {
        let from = values.len().saturating_sub(SHOWN);
        values[from..].iter().map(|value| three_digits(value * scale)).collect::<Vec<_>>().join(", ")
    }
    let stable = if warm.stable { "stable" } else { "NOT stable" };
    let windows = counted(warm.cpu_ns_per_record.len(), "window");
    let mut text = format!("{stable} after {:.1} s ({windows} of 2 s)", warm.took_s);
    if !warm.cpu_ns_per_record.is_empty() {
        text.push_str(&format!(
            "; broker CPU per record at the end: {} µs",
            last(&warm.cpu_ns_per_record, 1e-3)
        ));
    }
    if !warm.idle.is_empty() {
        text.push_str(&format!("; machine idle meanwhile: {} %", last(&warm.idle, 100.0)));
    }
    if !warm.compiling.is_empty() {
        text.push_str(&format!("; compilers' share of that CPU: {} %", last(&warm.compiling, 100.0)));
    }
    text
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}
