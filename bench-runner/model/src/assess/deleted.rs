//! A topic that was deleted under way leaves no log to judge by: then what its producers were told is held against what they
//! have to be told. It claims nothing about records.

use super::statements::Statements;
use crate::expectation::Comparison;
use crate::fault::{Action, FaultRecord};
use crate::ids::PartitionId;
use crate::outage::Outage;
use crate::plan::Cell;
use crate::profile::grouped;
use crate::result::Expectation;

/// A step has deleted the topic, and that is proven.
pub(super) fn is_deleted(faults: &[FaultRecord]) -> bool {
    faults.iter().any(|fault| fault.step.action == Action::Delete && fault.is_proven())
}

/// Why there is no verdict.
pub(super) fn reason(statements: &Statements) -> String {
    let answered = statements.producers.iter().map(|done| done.total.acked).sum();
    format!(
        "the topic was deleted under way, so no log is left to hold {} records against that were sent without an error: \
         neither loss nor no loss",
        grouped(answered)
    )
}

/// Every partition ends without a success and with an error, and no record is left without an answer.
pub(super) fn compare(cell: &Cell, statements: &Statements) -> Comparison {
    let partitions = cell.settings.topic.partitions;
    let outages = || statements.producers.iter().flat_map(|done| done.outages.iter().flatten());
    let ends_so = |fits: &dyn Fn(&Outage) -> bool| {
        let in_it = |partition: &u16| {
            outages().any(|it| it.partition == PartitionId(*partition) && it.to_ns.is_none() && fits(it))
        };
        (0..partitions).filter(in_it).count()
    };
    let (silent, told) = (ends_so(&|_| true), ends_so(&|outage| outage.error_ns.is_some()));
    let left = statements.producers.iter().filter(|done| !done.drained).count();
    let mut compared = Comparison { expectation: Expectation::Met, ..Comparison::default() };
    let all = usize::from(partitions);
    for (what, expected, observed) in [
        ("partitions without a success to the end", all, silent),
        ("partitions whose producers were told an error", all, told),
        ("producers that were left without an answer", 0, left),
    ] {
        compared.add(
            format!("{what}: {expected} expected (topic deleted), observed {observed}"),
            expected == observed,
        );
    }
    if !compared.unmet.is_empty() {
        compared.expectation = Expectation::Unmet;
    }
    compared
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expectation::tests::{cell, settings};
    use crate::settings::Acks;
    use crate::wire::Done;

    #[test]
    fn every_partition_has_to_end_with_an_error_and_no_record_without_an_answer() {
        let cell = cell(settings(Acks::All, 2), &[]);
        let outage = |partition, error_ns, to_ns| Outage {
            partition: PartitionId(partition),
            from_ns: 5,
            error_ns,
            to_ns,
        };
        let unmet = |outages: &[Outage], drained| {
            let producer = Done { outages: Some(outages.to_vec()), drained, ..Done::default() };
            let statements = Statements { producers: vec![producer], ..Statements::default() };
            let compared = compare(&cell, &statements);
            assert_eq!(compared.expectation == Expectation::Met, compared.unmet.is_empty());
            compared.unmet.len()
        };
        let refused = [outage(0, Some(6), None), outage(1, Some(7), None)];
        assert_eq!(unmet(&refused, true), 0);
        assert_eq!(unmet(&refused, false), 1, "somebody waits still");
        assert_eq!(unmet(&[refused[0], outage(1, None, None)], true), 1, "silence is no clear error");
        assert_eq!(unmet(&[refused[0], outage(1, Some(6), Some(8))], true), 2, "sent on");
        assert_eq!(unmet(&refused[..1], true), 2);
    }
}
