//! Whether the brokers were the same at the end of a run as at its beginning.

use crate::result::{Caveat, CellResult, Outcome};

/// Their CPU per record in the same cell may differ by this factor between its first measurement and its last.
const DRIFT: f64 = 1.5;

/// The doubt about a run, of which these are the cells in the order of execution, in whose course the brokers' cost of the
/// same cell changed most: repeats and the A/A copy are the same cell. `None`: little, or nothing was measured twice.
pub fn unsettled(cells: &[CellResult]) -> Option<Caveat> {
    let calm = |one: &&CellResult| one.outcome == Outcome::Finished && one.faults.is_empty();
    let measured: Vec<(&CellResult, f64)> = cells
        .iter()
        .filter(calm)
        .filter_map(|one| Some((one, one.cost.broker_cpu_ns_per_record.filter(|ns| *ns > 0.0)?)))
        .collect();
    let same = |one: &CellResult, other: &CellResult| {
        (&one.cell.profile, &one.cell.label) == (&other.cell.profile, &other.cell.label)
    };
    let pairs = measured.iter().enumerate().filter_map(|(at, (cell, first_ns))| {
        let is_first = !measured[..at].iter().any(|(other, _)| same(cell, other));
        let (_, last_ns) = measured[at + 1..].iter().rev().find(|(other, _)| same(cell, other))?;
        is_first.then_some((*cell, *first_ns, *last_ns))
    });
    let factor = |first_ns: f64, last_ns: f64| first_ns.max(last_ns) / first_ns.min(last_ns);
    let (cell, first_ns, last_ns) = pairs.max_by(|a, b| factor(a.1, a.2).total_cmp(&factor(b.1, b.2)))?;
    (factor(first_ns, last_ns) > DRIFT).then(|| Caveat {
        kind: "unsettled-brokers".into(),
        what: format!(
            "the brokers' CPU per record of {} · {} went from {:.0} µs at its first measurement to {:.0} µs at its last",
            cell.cell.profile,
            cell.cell.label,
            first_ns / 1e3,
            last_ns / 1e3
        ),
        advice: "raise `warm` in the profile's [cluster], or compare cells that ran late, or next to each other".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::unsettled;
    use crate::assess::blank;
    use crate::result::{CellResult, Outcome};
    use crate::{plan, profile};

    /// The cells of two repeats and the A/A copy, in order, with these costs in µs.
    fn run(costs: [Option<f64>; 5]) -> Vec<CellResult> {
        let text = "name = \"p\"\nwhy = \"w\"\nrepeats = 2\nagain = true\n[load]\nrate = \"1k/s\"\n[matrix]\nacks = [0, 1]\n";
        let profile = profile::parse("p", text, &[], &()).expect("valid");
        let plan = plan::build(&[profile], &[]).expect("within limits");
        assert_eq!(plan.cells.len(), costs.len());
        let measured = |(cell, cost): (&_, Option<f64>)| {
            let mut result = blank("r", cell);
            result.outcome = Outcome::Finished;
            result.cost.broker_cpu_ns_per_record = cost.map(|us| us * 1e3);
            result
        };
        plan.cells.iter().zip(costs).map(measured).collect()
    }

    #[test]
    fn the_first_measurement_of_a_cell_and_its_last_are_compared() {
        let mut cells = run([319.0, 150.0, 140.0, 190.0, 110.0].map(Some));
        let first = cells[0].cell.label.clone();
        let said = unsettled(&cells).expect("a factor of 2.9");
        assert_eq!(
            said.what,
            format!(
                "the brokers' CPU per record of p · {first} went from 319 µs at its first measurement to 110 µs at its last"
            )
        );
        cells[4].outcome = Outcome::Void;
        let what = unsettled(&cells).expect("a factor of 2.3 or less between repeats").what;
        assert!(!what.contains("110"), "{what}");
    }

    #[test]
    fn little_change_is_no_doubt_and_neither_is_nothing_measured_twice() {
        assert_eq!(unsettled(&run([150.0, 100.0, 110.0, 120.0, 101.0].map(Some))), None);
        assert_eq!(unsettled(&run([Some(300.0), Some(1.0), None, None, None])), None);
        assert_eq!(unsettled(&[]), None);
    }
}
