//! What consumer groups did: each commit strategy with its promise, its book and its price, to be pasted into a design document.

use super::figures::{grouped, share};
use super::table::Table;
use super::tables::{head, line};
use super::view::{Figure, Group, View};
use bench_model::settings::GroupSettings;
use bench_model::verdict::TallyKind;

/// The table, where any cell has a group.
pub fn table(view: &View) -> Option<Table> {
    let with_group = |group: &&Group| settings(group).is_some();
    let groups: Vec<&Group> = view.groups.iter().filter(with_group).collect();
    if groups.is_empty() {
        return None;
    }
    let columns = [
        "commit",
        "promises",
        ">never processed",
        ">processed again",
        ">begun only",
        ">effect p50",
        ">effect p99",
        ">commit p50",
        ">commit p99",
    ];
    let mut table = Table::new(head(view, &columns));
    for group in groups {
        let tally = |kind| {
            group.tally(kind).map_or("n/a".into(), |(count, of)| match group.is_mock {
                true => format!("{} of {}", grouped(count), grouped(of)),
                false => share(count, of),
            })
        };
        let settings = settings(group);
        let row = vec![
            settings.map_or("–", |settings| settings.commit.as_str()).to_owned(),
            settings.map_or("–", promise).to_owned(),
            tally(TallyKind::ProcessingLoss),
            tally(TallyKind::Redelivery),
            group.tally(TallyKind::BegunOnly).map_or("n/a".into(), |(count, _)| grouped(count)),
            group.latency_text("effect", Figure::Percentile("50")),
            group.latency_text("effect", Figure::Percentile("99")),
            group.latency_text("commit", Figure::Percentile("50")),
            group.latency_text("commit", Figure::Percentile("99")),
        ];
        table.row(line(view, group, row));
    }
    table.note("Effect: from the intended send to the end of processing. Commit: from the call to its answer; commits that the client makes by itself have no call.");
    table.note("A member that is killed takes its latencies with it: they are those of the lives that ended in good order.");
    Some(table.without_idle_columns(&["0", "n/a"]))
}

fn settings<'a>(group: &Group<'a>) -> Option<&'a GroupSettings> {
    group.first().cell.settings.group.as_ref()
}

/// What the strategy guarantees of processing, in the field's words.
fn promise(settings: &GroupSettings) -> &'static str {
    match (settings.commit.may_lose(), settings.commit.may_repeat()) {
        (true, false) => "at most once",
        (false, true) => "at least once",
        (true, true) => "neither",
        (false, false) => "exactly once",
    }
}
