//! The contingency table: every record of every cell, by what its producer was told and what became of it.

use super::table::Table;
use super::tables::{head, line};
use super::view::{Group, View, word};
use bench_model::profile::grouped;
use bench_model::verdict::Class;
use std::collections::BTreeMap;

/// Copies, processings and effects of a record, where the cell has them; 2: two and more.
type Became = [Option<u8>; 3];

/// One line for each kind of record that a cell has any of, counted over the repeats; `None`: no cell has a verdict.
pub fn table(view: &View) -> Option<Table> {
    let columns = ["class", ">copies", ">processed", ">effects", ">records"];
    let mut table = Table::new(head(view, &columns));
    let mut is_empty = true;
    for group in &view.groups {
        for ((class, became), records) in of_group(group) {
            is_empty = false;
            let mut row = vec![word(&class)];
            row.extend(became.map(|times| match times {
                None => "n/a".to_owned(),
                Some(2) => "2+".to_owned(),
                Some(times) => times.to_string(),
            }));
            row.push(grouped(records));
            table.row(line(view, group, row));
        }
    }
    table.note("Copies in the log (with transactions: those that read_committed shows), completed processings, rows in the sink.");
    (!is_empty).then(|| table.without_idle_columns(&["n/a"]))
}

fn of_group(group: &Group) -> BTreeMap<(Class, Became), u64> {
    let has_sink = group.first().cell.settings.group.as_ref().is_some_and(|group| group.sink.is_some());
    let mut kinds: BTreeMap<(Class, Became), u64> = BTreeMap::new();
    for row in group.finished().filter_map(|cell| cell.result.verdict.as_ref()).flat_map(|it| &it.contingency)
    {
        let mut add = |became: Became, records: u64| {
            if records > 0 {
                *kinds.entry((row.class, became)).or_default() += records;
            }
        };
        if row.alike.is_empty() {
            let copies = [(0, row.copies_0), (1, row.copies_1), (2, row.copies_2)];
            copies.into_iter().for_each(|(times, records)| add([Some(times), None, None], records));
        }
        for kind in &row.alike {
            let effects = has_sink.then_some(kind.effects);
            add([Some(kind.copies), Some(kind.processed), effects], kind.records);
        }
    }
    kinds
}
