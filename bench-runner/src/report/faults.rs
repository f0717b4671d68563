//! Faults as carried out, with their proof.

use super::figures::duration;
use super::page::Block;
use super::table::Table;
use super::view::View;
use super::workers;
use bench_model::fault::FaultRecord;

pub fn describe(view: &View, blocks: &mut Vec<Block>) {
    let mut table = Table::new(["cell", "step", "brokers", ">done after T0", "proof"]);
    for cell in &view.run.cells {
        for FaultRecord { step, brokers, done_ns, proof, .. } in &cell.result.faults {
            let brokers: Vec<String> = brokers.iter().map(ToString::to_string).collect();
            table.row([
                cell.result.cell.id.clone(),
                super::durability::timeline(&[*step]),
                brokers.join(", "),
                done_ns.map_or("never".into(), |ns| duration(ns as f64)),
                if proof.is_empty() { "NOT PROVEN".into() } else { proof.join("; ") },
            ]);
        }
        let healed = workers::statements(cell).map(|stated| stated.healed).unwrap_or_default();
        if !healed.is_empty() {
            let undone = "what was left, undone".to_owned();
            let words = [String::new(), "after the load".into(), healed.join("; ")];
            table.row([vec![cell.result.cell.id.clone(), undone], words.to_vec()].concat());
        }
    }
    if !table.is_empty() {
        blocks.push(Block::Heading(2, "Faults as carried out".into()));
        blocks.push(Block::Table(table));
    }
    workers::describe(view, blocks);
}
