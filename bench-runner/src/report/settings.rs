//! Settings of a run: what differs between the cells first, then what all share, then everything as read back.

use super::page::Block;
use super::table::Table;
use super::view::{Group, View};
use crate::store::StoredCell;
use std::collections::{BTreeMap, BTreeSet};

/// First what differs between the cells, then everything.
pub fn describe(view: &View, blocks: &mut Vec<Block>) {
    let all: Vec<(&Group, BTreeMap<String, String>)> = view
        .groups
        .iter()
        .map(|group| (group, group.first().cell.effective().into_iter().collect()))
        .collect();
    let keys: BTreeSet<&String> = all.iter().flat_map(|(_, settings)| settings.keys()).collect();
    let values = |key: &String| -> BTreeSet<Option<&String>> {
        all.iter().map(|(_, settings)| settings.get(key)).collect()
    };
    let (differing, equal): (Vec<&String>, Vec<&String>) =
        keys.into_iter().partition(|key| values(key).len() > 1);
    if !differing.is_empty() {
        let heads = ["profile", "cell"].into_iter().chain(differing.iter().map(|key| key.as_str()));
        let mut table = Table::new(heads);
        for (group, settings) in &all {
            let cells = differing.iter().map(|key| settings.get(*key).cloned().unwrap_or("–".into()));
            table.row([group.profile.to_owned(), group.name.clone()].into_iter().chain(cells));
        }
        blocks.push(Block::Heading(2, "Settings that differ between the cells".into()));
        blocks.push(Block::Table(table));
    }
    if let Some((_, settings)) = all.first() {
        let pairs = equal.iter().filter_map(|key| Some(((*key).clone(), settings.get(*key)?.clone())));
        let same = vec![Block::Table(pairs_table(pairs))];
        blocks.push(Block::Details("Settings that are the same in every cell".into(), same));
    }
    let mut inner = Vec::new();
    read_back(view, &mut inner);
    let brokers = &view.run.manifest.cluster.settings;
    if !brokers.is_empty() {
        let pairs = brokers.iter().map(|(key, value)| (key.clone(), value.clone()));
        let title = format!("Broker settings as read back ({})", brokers.len());
        inner.push(Block::Details(title, vec![Block::Table(pairs_table(pairs))]));
    }
    if !inner.is_empty() {
        blocks.push(Block::Bulk {
            title: "Every client, topic and broker setting as read back".into(),
            elsewhere: "report.html, manifest.json (brokers) and cells/*/result.json (clients and topics)"
                .into(),
            inner,
        });
    }
}

/// Client and topic settings as read back: once what all cells share, then the rest of each.
fn read_back(view: &View, blocks: &mut Vec<Block>) {
    let of_cell = |cell: &StoredCell| -> BTreeSet<(String, String)> {
        let result = &cell.result;
        let of_roles = result.client_settings.iter().flat_map(|(role, settings)| {
            settings.iter().map(move |(key, value)| (format!("{role}: {key}"), value.clone()))
        });
        let of_topic =
            result.topic_settings.iter().map(|(key, value)| (format!("topic: {key}"), value.clone()));
        of_roles.chain(of_topic).collect()
    };
    let all: Vec<(&str, BTreeSet<(String, String)>)> = view
        .run
        .cells
        .iter()
        .map(|cell| (cell.result.cell.id.as_str(), of_cell(cell)))
        .filter(|(_, settings)| !settings.is_empty())
        .collect();
    let Some((_, first)) = all.first() else { return };
    let shared: BTreeSet<(String, String)> = first
        .iter()
        .filter(|pair| all.iter().all(|(_, settings)| settings.contains(*pair)))
        .cloned()
        .collect();
    let title = "Client and topic settings as read back, the same in every cell that ran".to_owned();
    blocks.push(Block::Details(title, vec![Block::Table(pairs_table(shared.clone()))]));
    for (id, settings) in all {
        let own: Vec<(String, String)> = settings.difference(&shared).cloned().collect();
        if !own.is_empty() {
            let title = format!("{id}: client and topic settings as read back that are not shared by all");
            blocks.push(Block::Details(title, vec![Block::Table(pairs_table(own))]));
        }
    }
}

fn pairs_table(pairs: impl IntoIterator<Item = (String, String)>) -> Table {
    let mut table = Table::new(["setting", "value"]);
    for (key, value) in pairs {
        table.row([key, value]);
    }
    table
}
