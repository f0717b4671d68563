//! What the user sees while a run goes on: bars with an ETA in a terminal, plain lines elsewhere. All on standard error.

use bench_model::plan::{Cell, Plan};
use bench_model::result::{CellResult, Outcome, word};
use bench_model::wire::Progress;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// The progress of a run.
pub struct Bar {
    total: usize,
    label: String,
    bars: Option<(MultiProgress, ProgressBar, ProgressBar)>,
    /// As planned, by cell.
    seconds: Vec<u64>,
    index: usize,
    begun: Instant,
    /// What the cells that ended were planned to take, and took.
    ended: (u64, Duration),
}

impl Bar {
    /// Bars for a plan (nothing is drawn yet).
    pub fn new(plan: &Plan) -> Self {
        let seconds: Vec<u64> = plan.cells.iter().map(|cell| cell.duration_ns() / 1_000_000_000).collect();
        let bars = std::io::stderr().is_terminal().then(|| {
            let all = MultiProgress::new();
            let style = |template: &str| {
                ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
            };
            let run = all.add(ProgressBar::new(seconds.iter().sum()));
            run.set_style(style("{msg:32!} [{wide_bar}] {percent:>3} %  {elapsed} gone, {prefix}"));
            run.enable_steady_tick(Duration::from_millis(500));
            let cell = all.add(ProgressBar::new_spinner());
            cell.set_style(style("  {msg}"));
            (all, run, cell)
        });
        Bar {
            total: plan.cells.len(),
            label: String::new(),
            bars,
            seconds,
            index: 0,
            begun: Instant::now(),
            ended: (0, Duration::ZERO),
        }
    }

    /// One line that stays.
    pub fn say(&self, line: &str) {
        match &self.bars {
            Some((all, ..)) => drop(all.println(line)),
            None => tell(line),
        }
    }

    /// A cell begins.
    pub fn begin(&mut self, index: usize, cell: &Cell) {
        self.label = format!("cell {}/{}: {}", index + 1, self.total, cell.id);
        (self.index, self.begun) = (index, Instant::now());
        let left_s = self.stretched_s(self.seconds[index..].iter().sum());
        match &self.bars {
            Some((_, run, inner)) => {
                run.set_message(format!("cell {}/{}", index + 1, self.total));
                self.advance(run);
                inner.set_message(self.label.clone());
            }
            None => {
                let here_s = self.stretched_s(self.seconds[index]);
                tell(&format!("{} (about {here_s} s; {left_s} s left in all)", self.label))
            }
        }
    }

    /// A planned time, by what the cells that have ended took of theirs.
    fn stretched_s(&self, planned_s: u64) -> u64 {
        match self.ended {
            (0, _) => planned_s,
            (ended_s, took) => (took * u32::try_from(planned_s).unwrap_or(u32::MAX)).as_secs() / ended_s,
        }
    }

    /// Whole cells, and of this one what has passed of its planned time, which may be too short.
    fn advance(&self, run: &ProgressBar) -> u64 {
        let here_s = self.seconds[self.index];
        let passed_s = self.begun.elapsed().as_secs();
        run.set_position(self.seconds[..self.index].iter().sum::<u64>() + passed_s.min(here_s));
        let left_s = self.stretched_s(here_s).saturating_sub(passed_s);
        let later_s = self.stretched_s(self.seconds[self.index + 1..].iter().sum());
        run.set_prefix(format!("about {} s left", left_s + later_s));
        left_s
    }

    /// The producers' totals so far.
    pub fn tick(&mut self, progress: &Progress) {
        if let Some((_, run, inner)) = &self.bars {
            let left_s = self.advance(run);
            let failed =
                if progress.failed > 0 { format!(", {} failed", progress.failed) } else { String::new() };
            inner.set_message(format!(
                "{}: {} sent, {} answered{failed}; about {left_s} s left",
                self.label, progress.records, progress.acked
            ));
        }
    }

    /// A cell has ended.
    pub fn end(&mut self, result: &CellResult) {
        self.ended.0 += self.seconds[self.index];
        self.ended.1 += self.begun.elapsed();
        let state = match (result.outcome, &result.reason) {
            (Outcome::Finished, _) if result.cell.settings.load.arrival.is_bursts() => {
                // Most of the window is the pause between bursts: there is no rate.
                format!("finished, {} records in bursts", result.window_records)
            }
            (Outcome::Finished, _) => {
                format!("finished, {:.0} records/s", result.throughput_per_s)
            }
            (Outcome::Interrupted, _) => word(&result.outcome),
            (outcome, reason) => {
                format!("{}: {}", word(&outcome), reason.as_deref().unwrap_or("no reason given"))
            }
        };
        self.say(&format!("{}: {state}", self.label));
    }
}

/// If nobody reads standard error any more, the run goes on all the same.
fn tell(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some((_, run, inner)) = &self.bars {
            inner.finish_and_clear();
            run.finish_and_clear();
        }
    }
}
