//! report
use crate::store::StoredRun;
pub fn render(_: &StoredRun, _: &std::path::Path) -> Result<(), crate::store::StoreError> {
    Ok(())
}
pub fn terminal(run: &StoredRun) -> String {
    format!(
        "{:#?}",
        run.cells
            .iter()
            .map(|c| (
                &c.result.cell.id,
                c.result.outcome,
                &c.result.reason,
                &c.result.faults,
                &c.result.latencies,
                &c.result.stages_ns,
                &c.result.cost,
                &c.result.caveats,
                &c.result.errors
            ))
            .collect::<Vec<_>>()
    )
}
pub fn summary(_: &StoredRun) -> serde_json::Value {
    serde_json::Value::Null
}
