//! Warm brokers: real traffic of the plan's kind until their CPU per record is stable, within the profile's limit.
//!
//! Cold brokers are 2-6 times slower for minutes; a matrix on a cold cluster measures their compiler.

use super::crew::{Gang, Task};
use super::host;
use super::interrupt::Interrupt;
use super::lives::Ordeals;
use super::topic::{self, Topic};
use crate::clock;
use crate::cluster::Cluster;
use crate::kafka::admin::Admin;
use bench_model::ids::BookKey;
use bench_model::plan::Cell;
use bench_model::result::Warm;
use bench_model::settings::{Acks, Arrival, Length, Load, ProducerSettings};
use std::path::Path;

const SECOND_NS: u64 = 1_000_000_000;
/// Windows of two seconds ...
const WINDOW_NS: u64 = 2 * SECOND_NS;
/// ... of which three in a row must agree ...
const WINDOWS: usize = 3;
/// ... within so much of their largest.
const TOLERANCE: f64 = 0.10;
/// Warm-up traffic in bytes per second at most: enough requests to compile, not enough to fill the page cache.
const BYTES_PER_S: u64 = 10_000_000;
const RECORDS_PER_S: u64 = 30_000;
/// Brokers that compile take every CPU there is: CPU per record is then cores / rate, constant and meaningless.
const IDLE: f64 = 0.10;
/// Windows agree while compilers take the same share of all of them, too; more than this is no end.
const COMPILING: f64 = 0.10;

/// Whether the last windows agree, on a machine that had CPU to spare, with compilers that had little left to do.
fn is_stable(warm: &Warm) -> bool {
    let Some(from) = warm.cpu_ns_per_record.len().checked_sub(WINDOWS) else { return false };
    let last = &warm.cpu_ns_per_record[from..];
    let (low, high) = last.iter().fold((f64::MAX, 0_f64), |(low, high), x| (low.min(*x), high.max(*x)));
    warm.idle[from..].iter().all(|idle| *idle >= IDLE)
        && warm.compiling[from..].iter().all(|share| *share <= COMPILING)
        && high > 0.0
        && low >= high * (1.0 - TOLERANCE)
}

/// Why the last windows are not stable, in words; `None`: CPU per record cannot be seen from here.
pub fn doubt(warm: &Warm) -> Option<String> {
    let last = |all: &[f64]| all[all.len().saturating_sub(WINDOWS)..].to_vec();
    let (windows, idle) = (last(&warm.cpu_ns_per_record), last(&warm.idle));
    let (low, high) = windows.iter().fold((f64::MAX, 0_f64), |(low, high), x| (low.min(*x), high.max(*x)));
    let least_idle = idle.iter().fold(1_f64, |least, idle| least.min(*idle));
    let compiling = last(&warm.compiling).iter().fold(0_f64, |most, share| most.max(*share));
    (high > 0.0).then(|| {
        format!(
            "the brokers' CPU per record had not settled after {:.0} s: {:.0} to {:.0} µs in the last three windows (within {:.0} % is \
             settled), with as little as {:.0} % of the machine idle ({:.0} % are asked for) and as much as {:.0} % of that CPU for \
             compilers ({:.0} % are let pass)",
            warm.took_s,
            low / 1000.0,
            high / 1000.0,
            TOLERANCE * 100.0,
            least_idle * 100.0,
            IDLE * 100.0,
            compiling * 100.0,
            COMPILING * 100.0,
        )
    })
}

/// What to warm, and for whom.
pub struct Job<'a> {
    /// The cluster.
    pub cluster: &'a mut Cluster,
    /// Its administration.
    pub admin: &'a Admin,
    /// The plan.
    pub cells: &'a [Cell],
    /// How long it may take.
    pub limit_ns: u64,
    /// The run's id.
    pub run: &'a str,
    /// Directory for the workers' files.
    pub scratch: &'a Path,
}

/// Traffic of the plan's kind: its record size, topic and producer settings, acknowledged by all replicas.
fn traffic(kind: &Cell, limit_ns: u64) -> (Load, ProducerSettings) {
    let load = &kind.settings.load;
    let per_second = (BYTES_PER_S / u64::from(load.record_bytes)).min(RECORDS_PER_S);
    let load = Load {
        arrival: Arrival::Constant { per_second },
        warmup_ns: 0,
        length: Length::Time(limit_ns),
        producers: 1,
        drain_ns: SECOND_NS,
        ..load.clone()
    };
    let producer = kind.settings.producer.clone();
    (load, ProducerSettings { acks: Acks::All, idempotence: false, transaction: None, ..producer })
}

/// Warms the brokers; `tell` hears each window.
pub async fn warm(job: Job<'_>, interrupt: &Interrupt, tell: &mut dyn FnMut(&str)) -> Result<Warm, String> {
    let Some(kind) = job.cells.iter().find(|cell| cell.faults.is_empty()).or(job.cells.first()) else {
        return Err("the plan has no cells".to_owned());
    };
    let name = format!("bench-runner-{}-warm", job.run);
    let created = tokio::select! {
        created = Topic::create(job.cluster, job.admin, &name, &kind.settings.topic) => created,
        () = interrupt.raised() => Err("interrupted".to_owned()),
    };
    if let Err(reason) = created {
        // What went wrong first is what is told.
        let _ = topic::discard(job.cluster, job.admin, &name, interrupt).await;
        return Err(reason);
    }
    let (load, producer) = traffic(kind, job.limit_ns);
    let bootstrap = job.cluster.bootstrap();
    let task = Task {
        bootstrap: &bootstrap,
        clients_bootstrap: &bootstrap,
        topic: &name,
        partitions: kind.settings.topic.partitions,
        book: BookKey::of(job.run, "warm"),
        seed: kind.seed,
        load: &load,
        producers: vec![&producer],
        group: None,
        ordeals: Ordeals::default(),
        ledger_capacity: (job.limit_ns / SECOND_NS + 1) * RECORDS_PER_S,
        transaction_capacity: 0,
        directory: job.scratch,
    };
    job.cluster.favour_compilers(true);
    let windows = match Gang::start(&task, interrupt).await {
        Ok(mut gang) => {
            let windows = watch(job.cluster, &task, &mut gang, job.limit_ns, interrupt, tell).await;
            windows.map(|windows| (windows, clock::now_ns().saturating_sub(gang.t0_ns)))
        }
        Err(error) => Err(error.to_string()),
    };
    job.cluster.favour_compilers(false);
    topic::discard(job.cluster, job.admin, &name, interrupt).await?;
    let (warm, took_ns) = windows?;
    Ok(Warm { stable: is_stable(&warm), took_s: took_ns as f64 / 1e9, ..warm })
}

/// What was seen in each window, until stable or out of time.
async fn watch(
    cluster: &Cluster,
    task: &Task<'_>,
    gang: &mut Gang,
    limit_ns: u64,
    interrupt: &Interrupt,
    tell: &mut dyn FnMut(&str),
) -> Result<Warm, String> {
    let mut warm = Warm::default();
    let mut last = (gang.t0_ns, 0_u64, 0_u64, host::CpuTicks::now());
    let mut compilers_ns = 0;
    let deadline_ns = gang.t0_ns + limit_ns;
    loop {
        tokio::select! {
            heard = gang.hear(task) => heard.map_err(|error| error.to_string())?,
            () = interrupt.raised() => return Err("interrupted".to_owned()),
        }
        let produced = gang.produced();
        if produced.at_ns >= last.0 + WINDOW_NS - SECOND_NS / 10 {
            let cpu_ns = cluster.usage().map_or(0, |usage| usage.cpu_ns);
            let (ticks, compiled_ns) = (host::CpuTicks::now(), cluster.compilers_ns());
            if last.1 > 0 && produced.records > last.2 && cpu_ns > 0 {
                let per_record = (cpu_ns - last.1) as f64 / (produced.records - last.2) as f64;
                let free = (ticks.idle - last.3.idle) as f64 / (ticks.all - last.3.all).max(1) as f64;
                let compiling = compiled_ns.saturating_sub(compilers_ns) as f64 / (cpu_ns - last.1) as f64;
                warm.cpu_ns_per_record.push(per_record);
                warm.idle.push(free);
                warm.compiling.push(compiling);
                tell(&format!(
                    "warming the brokers: {:.1} µs of broker CPU per record, {:.0} % of it for compilers, {:.0} % of the machine idle",
                    per_record / 1000.0,
                    compiling * 100.0,
                    free * 100.0
                ));
            }
            compilers_ns = compiled_ns;
            last = (produced.at_ns, cpu_ns, produced.records, ticks);
        }
        if is_stable(&warm) || clock::now_ns() >= deadline_ns || gang.producers_done() {
            return Ok(warm);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{doubt, is_stable};
    use bench_model::result::Warm;

    fn seen(cpu: &[f64], idle: f64, compiling: f64) -> Warm {
        let all = |value| vec![value; cpu.len()];
        let (idle, compiling) = (all(idle), all(compiling));
        Warm { cpu_ns_per_record: cpu.to_vec(), idle, compiling, stable: false, took_s: 30.2 }
    }

    #[test]
    fn three_windows_in_a_row_within_a_tenth_are_stable() {
        let is_stable = |cpu: &[f64]| is_stable(&seen(cpu, 0.3, 0.1));
        assert!(!is_stable(&[10.0, 10.0]));
        assert!(!is_stable(&[20.0, 11.0, 10.0, 9.5]));
        assert!(is_stable(&[20.0, 10.5, 10.0, 9.5]));
        assert!(!is_stable(&[0.0, 0.0, 0.0]));
    }

    #[test]
    fn a_saturated_machine_is_never_stable_nor_are_brokers_that_compile() {
        let mut warm = seen(&[121e3, 122e3, 121e3], 0.3, 0.1);
        assert!(is_stable(&warm));
        warm.idle[1] = 0.01;
        assert!(!is_stable(&warm));
        let said = doubt(&warm).expect("windows");
        let expected =
            ["after 30 s: 121 to 122 µs", "as little as 1 % of the machine idle", "as much as 10 %"];
        assert!(expected.iter().all(|words| said.contains(words)), "{said}");
        let mut warm = seen(&[121e3, 122e3, 121e3], 0.3, 0.1);
        warm.compiling[2] = 0.4;
        assert!(!is_stable(&warm));
        assert_eq!(doubt(&seen(&[], 0.3, 0.1)), None);
    }
}
