//! Kafka as processes of this machine: one KRaft controller and the brokers, on loopback ports.
//!
//! May not know what is measured with it. Faults come in through [`Local::send`], their undo is [`Local::heal`].

mod faults;

use super::broker_process::{BrokerProcess, last_words};
use super::disks::Disks;
use super::distribution::{self, Distribution};
use super::gates::Gates;
use super::ports::PortBlock;
use super::properties::{self, CONTROLLER_ID};
use super::proxies::Proxies;
use super::residence::Residence;
use super::usage::{self, Usage};
use super::{Ask, ClusterError, archive, broker_settings, dump, protocol, storage};
use crate::kafka::probe;
use bench_model::fault::Action;
use bench_model::ids::BrokerId;
use bench_model::result::ClusterFacts;
use bench_model::segment::dump::Dump;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::process::Command;

const LOG_SETTINGS: &str = include_str!("../../cluster/log4j2.properties");
const START_LIMIT: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(50);
const CONTROLLER_HEAP_BYTES: u64 = 256 << 20;

/// What Kafka's own start scripts give a server, without the heap; and no file in /tmp, which a kill would leave.
const JVM_FLAGS: [&str; 7] = [
    "-server",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
    "-Djava.awt.headless=true",
    "-XX:-UsePerfData",
];

/// One node: what is needed to start it (again), and its present life.
struct Node {
    id: i32,
    name: String,
    home: PathBuf,
    heap_bytes: u64,
    process: Option<BrokerProcess>,
    /// Was sent SIGKILL, and the kernel takes up to 100 ms to end a JVM; or SIGTERM, and it takes its time.
    ending: bool,
    /// What its former lives used.
    spent: Usage,
}

impl Node {
    fn data(&self) -> PathBuf {
        storage::data(&self.home)
    }

    fn log(&self) -> PathBuf {
        self.home.join("server.log")
    }

    fn last_words(&self) -> String {
        last_words(&self.name, &self.home)
    }
}

/// A running local cluster. Dropping it kills all processes and removes the data.
pub struct Local {
    distribution: Distribution,
    archive: PathBuf,
    controller: Node,
    brokers: Vec<Node>,
    ports: PortBlock,
    /// Clients of some cells go through them.
    pub proxies: Proxies,
    /// Between its processes, where some cell shuts them.
    gates: Gates,
    facts: ClusterFacts,
    disks: Disks,
    // Dropped last: fields drop in order, so the processes are dead before their directory goes.
    residence: Residence,
}

/// Starts controller and brokers and proves that they work.
pub async fn start(
    kafka_home: Option<PathBuf>,
    ask: &Ask,
    progress: &mut dyn FnMut(&str),
) -> Result<Local, ClusterError> {
    if ask.replication_factor > ask.cluster.brokers || ask.cluster.brokers == 0 {
        return Err(ClusterError::unfit(
            format!("{} brokers cannot hold {} replicas", ask.cluster.brokers, ask.replication_factor),
            "raise cluster.brokers or lower the replication factor",
        ));
    }
    // Before any thread of ours is started: each keeps the mounts that it has begun with.
    let disks = Disks::open(ask)?;
    let distribution = distribution::find(kafka_home, progress).await?;
    let checkpoint = distribution.checkpoint(progress).await?;
    let began = Instant::now();
    let mut local = prepare(distribution, &checkpoint, disks, ask)?;
    let warm_start = if local.archive.exists() { "with" } else { "without" };
    progress(&format!("starting {} brokers ({warm_start} class-data archive)", ask.cluster.brokers));
    if ask.proxied {
        local.proxies = Proxies::open(&local.ports, &local.broker_ids()).await?;
    }
    if ask.gated {
        local.gates = Gates::open(&local.ports, &local.broker_ids())?;
    }
    local.spawn(CONTROLLER_ID, Vec::new())?;
    for id in local.broker_ids() {
        local.spawn(id.0, Vec::new())?;
    }
    local.wait_registered(START_LIMIT).await?;
    let replicas: Vec<i32> = local.broker_ids().iter().map(|id| id.0).take(3).collect();
    probe::write_once(&local.bootstrap(), &replicas)
        .await
        .map_err(|cause| ClusterError::failed("write a record to the new cluster", cause))?;
    let start_s = began.elapsed().as_secs_f64();
    local.facts.start_s = Some(start_s);
    local.facts.features = protocol::features(&local.endpoints()[0]).await.unwrap_or_default();
    local.facts.settings = broker_settings(&local.bootstrap(), 1).await?;
    local.facts.version = format!("Apache Kafka {}", local.running_version());
    progress(&format!("cluster is up at {} after {start_s:.1} s", local.bootstrap()));
    Ok(local)
}

/// Directories, properties and formatted storage; nothing runs yet.
fn prepare(
    distribution: Distribution,
    checkpoint: &Path,
    mut disks: Disks,
    ask: &Ask,
) -> Result<Local, ClusterError> {
    let failed = |error: io::Error| ClusterError::failed("prepare the cluster's directories", error);
    let ports = PortBlock::for_brokers(ask.cluster.brokers)?;
    let residence = Residence::create(ask.keep)?;
    fs::write(residence.directory.join("log4j2.properties"), LOG_SETTINGS).map_err(failed)?;
    let cluster_id = storage::random_id().map_err(failed)?;
    let node = |id: i32, name: String, heap_bytes: u64| {
        let home = residence.directory.join(&name);
        Node { id, name, home, heap_bytes, process: None, ending: false, spent: Usage::default() }
    };
    let controller = node(CONTROLLER_ID, "controller".to_owned(), CONTROLLER_HEAP_BYTES);
    let door = ask.gated.then(|| ports.door());
    let text = properties::controller(&ask.cluster, ports.controller(), door, &controller.data());
    storage::format(&controller.home, controller.id, &cluster_id, &text)
        .and_then(|()| fs::copy(checkpoint, controller.data().join("bootstrap.checkpoint")))
        .map_err(failed)?;
    let mut brokers = Vec::new();
    for id in 1..=ask.cluster.brokers {
        let broker = node(i32::from(id), format!("broker-{id}"), ask.cluster.heap_bytes);
        let mut own = ports.of_broker(id);
        own.proxy = if ask.proxied { own.proxy } else { own.proxied };
        if !ask.gated {
            (own.replication, own.quorum) = (own.internal, ports.controller());
        }
        disks.place(&broker.data(), ask)?;
        let text = properties::broker(&ask.cluster, broker.id, own, &broker.data());
        storage::format(&broker.home, broker.id, &cluster_id, &text).map_err(failed)?;
        brokers.push(broker);
    }
    let flags = jvm_flags(ask.cluster.heap_bytes);
    let archive = archive::place(&distribution, &flags);
    let facts = ClusterFacts {
        provider: "local".to_owned(),
        brokers: ask.cluster.brokers,
        facts: [
            ("java".to_owned(), distribution.java_version.clone()),
            ("jvm_flags".to_owned(), flags.join(" ")),
            ("heap_bytes".to_owned(), ask.cluster.heap_bytes.to_string()),
            ("controller_heap_bytes".to_owned(), CONTROLLER_HEAP_BYTES.to_string()),
            ("class_data_archive".to_owned(), archive.exists().to_string()),
            ("directory".to_owned(), residence.directory.display().to_string()),
        ]
        .into(),
        ..ClusterFacts::default()
    };
    Ok(Local {
        distribution,
        archive,
        controller,
        brokers,
        ports,
        proxies: Proxies::default(),
        gates: Gates::default(),
        facts,
        disks,
        residence,
    })
}

fn jvm_flags(heap_bytes: u64) -> Vec<String> {
    let heap = [format!("-Xms{heap_bytes}"), format!("-Xmx{heap_bytes}")];
    heap.into_iter().chain(JVM_FLAGS.map(str::to_owned)).collect()
}

impl Local {
    /// DIRECT listeners.
    pub fn bootstrap(&self) -> String {
        self.endpoints().join(",")
    }

    /// What is known about it.
    pub fn facts(&self) -> ClusterFacts {
        self.facts.clone()
    }

    /// Ascending.
    pub fn broker_ids(&self) -> Vec<BrokerId> {
        self.brokers.iter().map(|node| BrokerId(node.id)).collect()
    }

    /// Each broker's partitions lie here.
    pub fn log_directories(&self) -> Vec<(BrokerId, PathBuf)> {
        self.brokers.iter().map(|node| (BrokerId(node.id), node.data())).collect()
    }

    /// Kafka's own dump of every replica of a topic.
    pub async fn dump(&self, topic: &str) -> Result<Vec<Dump>, ClusterError> {
        dump::dump(&self.distribution, &self.log_directories(), topic).await
    }

    /// Where all brokers listen, running or not.
    pub fn endpoints(&self) -> Vec<String> {
        self.brokers.iter().map(|node| self.endpoint(node.id)).collect()
    }

    fn endpoint(&self, id: i32) -> String {
        format!("127.0.0.1:{}", self.ports.of_broker(id as u16).direct)
    }

    /// DIRECT listeners of brokers that are neither stopped nor dead.
    pub fn running_endpoints(&self) -> Vec<String> {
        let runs = |node: &&Node| {
            let state = node.process.as_ref().and_then(BrokerProcess::state);
            state.is_some_and(|state| !matches!(state, 'T' | 't' | 'Z' | 'X'))
        };
        self.brokers.iter().filter(runs).map(|node| self.endpoint(node.id)).collect()
    }

    /// Lets the brokers' compiler threads run first, or as all others do.
    pub fn favour_compilers(&self, favour: bool) {
        for process in self.brokers.iter().filter_map(|node| node.process.as_ref()) {
            usage::favour_compilers(process.identity.pid, favour);
        }
    }

    /// CPU that the brokers' compilers have taken, in nanoseconds.
    pub fn compilers_ns(&self) -> u64 {
        let processes = self.brokers.iter().filter_map(|node| node.process.as_ref());
        processes.map(|process| usage::compilers_ns(process.identity.pid)).sum()
    }

    /// Brokers and controller together.
    pub fn usage(&self) -> Option<Usage> {
        let mut sum = Usage { network_bytes: usage::loopback_bytes()?, ..Usage::default() };
        for node in self.brokers.iter().chain([&self.controller]) {
            let now = node.process.as_ref().map(|process| usage::of_process(process.identity.pid));
            for part in [node.spent, now.unwrap_or_default()] {
                sum.cpu_ns += part.cpu_ns;
                sum.disk_write_bytes += part.disk_write_bytes;
            }
        }
        Some(sum)
    }

    fn node(&mut self, id: i32) -> Result<&mut Node, ClusterError> {
        std::iter::once(&mut self.controller)
            .chain(&mut self.brokers)
            .find(|node| node.id == id)
            .ok_or_else(|| ClusterError::failed("find a broker", format!("there is no node {id}")))
    }

    fn spawn(&mut self, id: i32, extra_flags: Vec<String>) -> Result<(), ClusterError> {
        let log_settings = self.residence.directory.join("log4j2.properties");
        let share = if extra_flags.is_empty() { archive::use_flag(&self.archive) } else { None };
        let (java, class_path) = (self.distribution.java.clone(), self.distribution.class_path.clone());
        let node = self.node(id)?;
        let mut command = Command::new(java);
        command.args(jvm_flags(node.heap_bytes)).args(share).args(extra_flags);
        command.arg(format!("-Dlog4j2.configurationFile={}", log_settings.display()));
        command.arg(format!("-Dbench.logs={}", node.home.display()));
        command.arg("-cp").arg(class_path).arg("kafka.Kafka").arg(node.home.join("server.properties"));
        command.current_dir(&node.home);
        let process = BrokerProcess::spawn(command, &node.home.join("console.log"))
            .map_err(|error| ClusterError::failed(format!("start {}", node.name), error))?;
        node.process = Some(process);
        node.ending = false;
        let record = self.residence.record(self.living());
        record.map_err(|error| ClusterError::failed("write down the cluster's processes", error))
    }

    fn living(&self) -> Vec<(String, super::broker_process::Identity)> {
        let nodes = std::iter::once(&self.controller).chain(&self.brokers);
        nodes.filter_map(|node| Some((node.name.clone(), node.process.as_ref()?.identity))).collect()
    }

    /// Waits until every broker says that all brokers are registered and unfenced.
    async fn wait_registered(&mut self, limit: Duration) -> Result<(), ClusterError> {
        let began = Instant::now();
        let ids: Vec<i32> = self.brokers.iter().map(|node| node.id).collect();
        for endpoint in self.endpoints() {
            loop {
                let seen = protocol::registered_brokers(&endpoint).await;
                if seen.is_ok_and(|seen| seen.iter().map(|broker| broker.id).eq(ids.iter().copied())) {
                    break;
                }
                self.check_alive()?;
                if began.elapsed() > limit {
                    return Err(ClusterError::failed(
                        format!("wait {} s for all brokers", limit.as_secs()),
                        format!("{endpoint} does not see them all; {}", self.brokers[0].last_words()),
                    ));
                }
                tokio::time::sleep(POLL).await;
            }
        }
        Ok(())
    }

    fn check_alive(&mut self) -> Result<(), ClusterError> {
        let mut nodes = std::iter::once(&mut self.controller).chain(&mut self.brokers);
        let dead = nodes.find_map(|node| Some((node.id, node.process.as_mut()?.ended()?)));
        let Some((id, status)) = dead else { return Ok(()) };
        let node = if id == CONTROLLER_ID { &self.controller } else { &self.brokers[id as usize - 1] };
        let words = node.last_words();
        Err(match words.split_once(REFUSED_SETTING) {
            Some((_, why)) => ClusterError::unfit(
                format!("{} does not start with these settings: {}", node.name, why.trim()),
                "correct [cluster] settings in the profile, or leave the setting out",
            ),
            None => ClusterError::failed(format!("start {}", node.name), format!("{status}; {words}")),
        })
    }

    /// The version that the first broker printed when it started; the jars' name if it did not.
    fn running_version(&self) -> String {
        let text = fs::read_to_string(self.brokers[0].home.join("server.log")).unwrap_or_default();
        let printed = text.lines().find_map(|line| line.split_once("Kafka version: "));
        printed.map_or(self.distribution.version.clone(), |(_, version)| version.trim().to_owned())
    }

    /// Logs, console output and properties of every node, named after it.
    pub fn collect_logs(&self, to: &Path) -> io::Result<()> {
        fs::create_dir_all(to)?;
        for node in std::iter::once(&self.controller).chain(&self.brokers) {
            for file in ["server.log", "console.log", "server.properties"] {
                let from = node.home.join(file);
                if from.exists() {
                    fs::copy(from, to.join(format!("{}.{file}", node.name)))?;
                }
            }
        }
        Ok(())
    }

    /// Kills everything: the data is removed anyway. The first time, the class-data archive is recorded before.
    pub async fn stop(mut self: Box<Self>, progress: &mut dyn FnMut(&str)) {
        if !self.archive.exists()
            && let Err(error) = self.record_archive(progress).await
        {
            tracing::warn!(%error, "no class-data archive; the next start is slower");
        }
        for node in self.brokers.iter_mut().chain([&mut self.controller]) {
            if let Some(process) = &mut node.process {
                // An error means that it is gone, which is what is wanted.
                let _ = process.signal(libc::SIGKILL);
                let _ = process.wait().await;
            }
        }
    }

    /// Restarts one broker so that it writes down its classes, and stops it in an orderly way.
    async fn record_archive(&mut self, progress: &mut dyn FnMut(&str)) -> Result<(), ClusterError> {
        progress("recording the class-data archive for faster starts (once)");
        let failed = |error: io::Error| ClusterError::failed("record the class-data archive", error);
        let (flag, aside) = archive::record_flag(&self.archive);
        let id = self.brokers[0].id;
        self.heal().await?;
        self.send(BrokerId(id), Action::Kill)?;
        self.prove(BrokerId(id), Action::Kill).await;
        self.bury(id)?;
        self.spawn(id, vec![flag])?;
        // Its old registration is only replaced by its own: what it answers is the proof that it is up.
        self.wait_registered(START_LIMIT).await?;
        let recorder = self.node(id)?.process.as_mut();
        if let Some(process) = recorder {
            process.signal(libc::SIGTERM).map_err(failed)?;
            let ended = tokio::time::timeout(Duration::from_secs(40), process.wait()).await;
            ended.map_err(|_| failed(io::ErrorKind::TimedOut.into()))?.map_err(failed)?;
        }
        fs::rename(aside, &self.archive).map_err(failed)
    }
}

/// What Kafka prints before the reason when it does not like a setting.
const REFUSED_SETTING: &str = "ConfigException: ";
