//! The cluster under test: one interface, four ways to get one. The rest of the program does not know which.
//!
//! Everything here runs on the main thread: a child's parent-death signal follows the thread that spawned it.
//! May not measure, judge or store anything, and names rdkafka only through `crate::kafka`.

mod administration;
mod archive;
mod broker_process;
mod cores;
mod disks;
mod distribution;
mod dump;
mod external;
mod gates;
mod leadership;
mod local;
mod mock;
mod partitions;
mod places;
mod ports;
mod power_cut;
mod properties;
mod protocol;
mod proxies;
mod residence;
mod storage;
mod topic_requests;
mod usage;

pub use leadership::Coordinated;
pub use partitions::{PartitionView, Watcher};
pub use usage::Usage;

use crate::kafka::admin::Admin;
use crate::proxy::Proxy;
use administration::{Administration, Place};
use bench_model::fault::{Action, Cut, FaultStep, Hits, Lose};
use bench_model::ids::{BrokerId, PartitionId};
use bench_model::result::ClusterFacts;
use bench_model::segment::dump::Dump;
use bench_model::settings::ClusterAsk;
use proxies::Proxies;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where the cluster comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Provider {
    /// Kafka as processes of this machine, from Maven's artifacts or an unpacked distribution.
    Local {
        /// Directory with `libs/*.jar`; `None`: the pinned version through Maven, cached.
        kafka_home: Option<PathBuf>,
    },
    /// A cluster that somebody else runs.
    External {
        /// `host:port,host:port`, plaintext.
        bootstrap: String,
    },
    /// Librdkafka's mock cluster.
    Mock {
        /// Further arguments of the verb `mock-cluster`: trouble to make, for tests of the verdict.
        trouble: Vec<String>,
    },
}

/// What a plan does to disks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DiskAsk {
    /// Some are filled: the data of all brokers lie in memory.
    pub fills: bool,
    /// Some log directories become read-only.
    pub protects: bool,
    /// What all cells write, in bytes.
    pub bytes: u64,
}

/// What a plan needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// What the profile asks for.
    pub cluster: ClusterAsk,
    /// The highest replication factor of any cell.
    pub replication_factor: u16,
    /// Some clients are to reach the cluster through proxies.
    pub proxied: bool,
    /// The processes of a local cluster are to reach each other through gates.
    pub gated: bool,
    /// What is to be done to disks of a local cluster's brokers.
    pub disks: DiskAsk,
    /// Keep the data directory of a local cluster when it stops.
    pub keep: bool,
}

/// Why there is no (working) cluster; for the user, with what to do.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum ClusterError {
    /// The cluster cannot carry the plan (exit code 4).
    #[error("the cluster is not fit: {reason}")]
    Unfit {
        /// What was found.
        reason: String,
        /// What to do.
        #[help]
        advice: String,
    },
    /// Something of ours failed (exit code 1).
    #[error("{act}: {cause}")]
    Failed {
        /// What was being done.
        act: String,
        /// What went wrong.
        cause: String,
    },
}

impl ClusterError {
    pub(crate) fn unfit(reason: impl Into<String>, advice: impl Into<String>) -> Self {
        ClusterError::Unfit { reason: reason.into(), advice: advice.into() }
    }

    pub(crate) fn failed(act: impl Into<String>, cause: impl ToString) -> Self {
        ClusterError::Failed { act: act.into(), cause: cause.to_string() }
    }
}

enum Kind {
    Local(Box<local::Local>),
    External(external::External),
    Mock(Box<mock::Mock>),
}

/// A cluster that was proven to accept a write. Dropping it kills what it started.
pub struct Cluster {
    kind: Kind,
    facts: ClusterFacts,
    leftovers: Vec<String>,
    presence: residence::Presence,
    administration: Administration,
    _awake: cores::Awake,
}

/// Starts or reaches a cluster that fits `ask`; `progress` hears one line for each stage.
pub async fn open(
    provider: Provider,
    ask: &Ask,
    progress: &mut dyn FnMut(&str),
) -> Result<Cluster, ClusterError> {
    let presence = residence::Presence::announce()?;
    let leftovers = residence::clear_leftovers();
    for line in &leftovers {
        progress(line);
    }
    let (kind, mut facts) = match provider {
        Provider::Local { kafka_home } => {
            let local = local::start(kafka_home, ask, progress).await?;
            let facts = local.facts();
            (Kind::Local(Box::new(local)), facts)
        }
        Provider::External { bootstrap } => {
            let (external, facts) = external::reach(bootstrap, ask).await?;
            (Kind::External(external), facts)
        }
        Provider::Mock { trouble } => {
            let (mock, facts) = mock::start(ask, &trouble).await?;
            (Kind::Mock(Box::new(mock)), facts)
        }
    };
    let (awake, administration) = (cores::Awake::ask(), Administration::default());
    facts.facts.insert("idle cores".into(), awake.as_str().into());
    Ok(Cluster { kind, facts, leftovers, presence, administration, _awake: awake })
}

async fn broker_settings(bootstrap: &str, broker: i32) -> Result<BTreeMap<String, String>, ClusterError> {
    let failed = |cause| ClusterError::failed("read the brokers' settings", cause);
    Admin::open(bootstrap).map_err(failed)?.broker_settings(broker).await.map_err(failed)
}

impl Cluster {
    /// Bootstrap servers for clients (never behind a proxy).
    pub fn bootstrap(&self) -> String {
        match &self.kind {
            Kind::Local(local) => local.bootstrap(),
            Kind::External(external) => external.bootstrap.clone(),
            Kind::Mock(mock) => mock.bootstrap.clone(),
        }
    }

    /// Bootstrap servers behind which everything goes through proxies; `None`: there are none.
    pub fn proxied_bootstrap(&self) -> Option<String> {
        self.proxies()?.bootstrap()
    }

    fn proxies(&self) -> Option<&Proxies> {
        match &self.kind {
            Kind::Local(local) => Some(&local.proxies),
            Kind::External(external) => Some(&external.proxies),
            Kind::Mock(_) => None,
        }
    }

    /// Brokers that can be asked how things stand: those of a local cluster that run, or of one behind proxies.
    fn asked(&self) -> Option<Vec<String>> {
        match &self.kind {
            Kind::Local(local) => Some(local.running_endpoints()),
            Kind::External(external) => external.endpoints(),
            Kind::Mock(_) => None,
        }
    }

    /// Product, version, feature levels, settings, JVM.
    pub fn facts(&self) -> ClusterFacts {
        self.facts.clone()
    }

    /// Whether this is librdkafka's mock, which knows fewer requests than Kafka.
    pub fn is_mock(&self) -> bool {
        matches!(self.kind, Kind::Mock(_))
    }

    /// Whether nothing of it outlives the run, topics included.
    pub fn ends_with_the_run(&self) -> bool {
        !matches!(self.kind, Kind::External(_))
    }

    /// The brokers' node ids, ascending; a controller is not among them.
    pub fn broker_ids(&self) -> Vec<BrokerId> {
        match &self.kind {
            Kind::Local(local) => local.broker_ids(),
            Kind::External(external) => external.brokers.iter().map(|(id, _)| *id).collect(),
            Kind::Mock(mock) => mock.brokers.clone(),
        }
    }

    /// Creates a topic in the provider's own way, if it has one; `false`: it speaks Kafka's, ask the admin client.
    pub async fn create_topic(
        &mut self,
        name: &str,
        partitions: u16,
        replicas: u16,
    ) -> Result<bool, ClusterError> {
        match &mut self.kind {
            Kind::Mock(mock) => mock.create_topic(name, partitions, replicas).await.map(|()| true),
            Kind::Local(_) | Kind::External(_) => Ok(false),
        }
    }

    /// Lets the brokers' compilers go first while they are warmed (local, privileged user), or ends that.
    pub fn favour_compilers(&self, favour: bool) {
        if let Kind::Local(local) = &self.kind {
            local.favour_compilers(favour);
        }
    }

    /// CPU that the brokers' compilers have taken, in nanoseconds; 0 unless local.
    pub fn compilers_ns(&self) -> u64 {
        match &self.kind {
            Kind::Local(local) => local.compilers_ns(),
            _ => 0,
        }
    }

    /// What brokers and controller have used so far; `None` unless local.
    pub fn usage(&self) -> Option<Usage> {
        match &self.kind {
            Kind::Local(local) => local.usage(),
            _ => None,
        }
    }

    /// Where each broker keeps its partitions; `None` unless local.
    pub fn log_directories(&self) -> Option<Vec<(BrokerId, PathBuf)>> {
        match &self.kind {
            Kind::Local(local) => Some(local.log_directories()),
            _ => None,
        }
    }

    /// Kafka's own dump of every replica of a topic; none unless local.
    pub async fn dump(&self, topic: &str) -> Result<Vec<Dump>, ClusterError> {
        match &self.kind {
            Kind::Local(local) => local.dump(topic).await,
            _ => Ok(Vec::new()),
        }
    }

    /// Does `action` to a broker's process, at once and without proof; an error unless local.
    pub fn send(&mut self, broker: BrokerId, action: Action) -> Result<(), ClusterError> {
        match &mut self.kind {
            Kind::Local(local) => local.send(broker, action),
            _ => Err(ClusterError::unfit(
                "faults need processes of this machine",
                "use the local cluster, or take the fault out of the profile",
            )),
        }
    }

    /// Carries out a step at a broker's proxy, at once; `number` is its place in the timeline.
    pub fn at_proxy(&self, broker: BrokerId, number: usize, step: &FaultStep) -> Result<(), ClusterError> {
        self.proxy_of(broker).map(|proxy| proxy.carry_out(number, step)).ok_or_else(|| {
            ClusterError::failed(format!("{:?} at broker {broker}", step.action), "it has no proxy")
        })
    }

    /// What a broker's proxy has counted of the step with this number.
    pub fn hits(&self, broker: BrokerId, number: usize) -> Option<Hits> {
        Some(Hits { broker, ..self.proxy_of(broker)?.hits(number) })
    }

    fn proxy_of(&self, broker: BrokerId) -> Option<&Proxy> {
        self.proxies()?.of(broker)
    }

    /// What the operating system says after `action`: process state, or gone. Waits up to 2 s, for an end in good order up
    /// to a minute; `None`: not proven.
    pub async fn prove(&mut self, broker: BrokerId, action: Action) -> Option<String> {
        match &mut self.kind {
            Kind::Local(local) => local.prove(broker, action).await,
            _ => None,
        }
    }

    /// Takes from a dead broker's logs what was not flushed, `lose` of it; `flushes`: its topic is flushed by count or time.
    pub fn cut(&self, broker: BrokerId, topic: &str, flushes: bool, lose: Lose) -> Result<Cut, ClusterError> {
        let failed = |cause| ClusterError::failed(format!("cut the logs of broker {broker}"), cause);
        let data = self.data_of(broker).ok_or_else(|| failed("it is not ours".to_owned()))?;
        power_cut::cut(&power_cut::Blackout { broker, data: &data, topic, flushes, lose }).map_err(failed)
    }

    /// From which offset the first leader of a higher epoch has led a partition, by this broker's own files.
    pub fn led_from(
        &self,
        broker: BrokerId,
        topic: &str,
        partition: PartitionId,
        above_epoch: i32,
    ) -> Option<i64> {
        power_cut::led_from(&self.data_of(broker)?, topic, partition, above_epoch)
    }

    fn data_of(&self, broker: BrokerId) -> Option<PathBuf> {
        self.log_directories()?.into_iter().find(|(id, _)| *id == broker).map(|(_, data)| data)
    }

    /// The controller's node id; `None` unless local.
    pub fn controller(&self) -> Option<BrokerId> {
        matches!(self.kind, Kind::Local(_)).then_some(BrokerId(properties::CONTROLLER_ID))
    }

    /// Proxies show readers the whole log again. What they keep from readers outlives `heal`: it is for the reading behind it.
    pub fn show_all(&self) {
        if let Some(proxies) = self.proxies() {
            proxies.show_all();
        }
    }

    /// Ends all other rules of proxies, continues the stopped, starts the dead, waits until all brokers are registered, and undoes what
    /// the administration of this topic has changed; returns what it did.
    pub async fn heal(&mut self, topic: &str) -> Result<Vec<String>, ClusterError> {
        let local = match &mut self.kind {
            Kind::Local(local) => local,
            Kind::External(external) => return Ok(external.proxies.heal()),
            Kind::Mock(_) => return Ok(Vec::new()),
        };
        let mut done = local.heal().await?;
        let (endpoints, brokers) = (local.running_endpoints(), local.broker_ids());
        let place = Place { endpoints: &endpoints, brokers: &brokers, topic };
        let undone = self.administration.undo(place).await;
        done.extend(undone.map_err(|error| ClusterError::failed(format!("restore topic {topic}"), error))?);
        Ok(done)
    }

    /// Does a step of the administration to a topic; an error unless local. `brokers`: those that it moves replicas off.
    pub async fn administer(
        &mut self,
        topic: &str,
        step: &FaultStep,
        brokers: &[BrokerId],
    ) -> Result<(), ClusterError> {
        let failed = |cause: &dyn std::fmt::Display| {
            ClusterError::failed(format!("{:?} of {topic}", step.action), cause)
        };
        let Kind::Local(local) = &self.kind else { return Err(failed(&"the cluster is not ours")) };
        let (endpoints, all) = (local.running_endpoints(), local.broker_ids());
        let place = Place { endpoints: &endpoints, brokers: &all, topic };
        self.administration.carry_out(place, step, brokers).await.map_err(|error| failed(&error))
    }

    /// What the brokers say after such a step; `None`: it is not as it should be, or not yet.
    pub async fn administered(&self, topic: &str, step: &FaultStep) -> Option<String> {
        let Kind::Local(local) = &self.kind else { return None };
        let (endpoints, brokers) = (local.running_endpoints(), local.broker_ids());
        self.administration.prove(Place { endpoints: &endpoints, brokers: &brokers, topic }, step).await
    }

    /// The newest view (highest leader epoch) that any running broker has of a topic; `None` unless local or behind proxies.
    pub async fn partition_view(&self, topic: &str) -> Option<Vec<PartitionView>> {
        partitions::newest_view(&self.asked()?, topic).await
    }

    /// Begins to hand the leadership of a topic's partition 0 to one of its replicas, in good order; an error unless local. The
    /// proof is who leads afterwards.
    pub fn elect(&self, broker: BrokerId, topic: &str) -> Result<(), ClusterError> {
        let failed = |cause: &str| ClusterError::failed(format!("elect broker {broker}"), cause);
        let Kind::Local(local) = &self.kind else { return Err(failed("the cluster is not ours")) };
        let endpoints = local.running_endpoints();
        let endpoint = endpoints.first().cloned().ok_or_else(|| failed("no broker runs"))?;
        let topic = topic.to_owned();
        tokio::spawn(async move {
            let views = partitions::newest_view(&endpoints, &topic).await.unwrap_or_default();
            let Some(view) = views.first() else {
                return tracing::error!(%broker, "no replicas to elect of");
            };
            let mut replicas = view.replicas.clone();
            replicas.sort_by_key(|replica| *replica != broker);
            if let Err(error) = leadership::elect(&endpoint, &topic, view.partition, &replicas).await {
                tracing::error!(%error, %broker, "leadership was not handed over");
            }
        });
        Ok(())
    }

    /// Who coordinates a group or a transactional id, by the first running broker that knows; `None` unless local or behind
    /// proxies.
    pub async fn coordinator(&self, whose: &Coordinated) -> Option<BrokerId> {
        for endpoint in self.asked()? {
            match leadership::coordinator(&endpoint, whose).await {
                Ok(broker) => return Some(broker),
                Err(error) => tracing::debug!(%error, endpoint, "asked for a coordinator"),
            }
        }
        None
    }

    /// Asks all brokers about a topic without regard to who is stopped; `None` unless local or behind proxies.
    pub fn watcher(&self, topic: &str) -> Option<Watcher> {
        let endpoints = match &self.kind {
            Kind::Local(local) => local.endpoints(),
            _ => self.asked()?,
        };
        Some(Watcher::new(endpoints, topic))
    }

    /// Copies logs, console output and properties of every process into `to` (nothing unless local).
    pub fn collect_logs(&self, to: &Path) -> std::io::Result<()> {
        match &self.kind {
            Kind::Local(local) => local.collect_logs(to),
            _ => Ok(()),
        }
    }

    /// Other harness runs that live on this machine now, as `pid 123`.
    pub fn sharers(&self) -> Vec<String> {
        self.presence.others()
    }

    /// What dead runs had left behind, and what was done about it.
    pub fn leftovers(&self) -> &[String] {
        &self.leftovers
    }

    /// Stops everything that was started, and removes its data. The first stop after an installation also
    /// records the class-data archive that makes later starts faster (about 10 s).
    pub async fn stop(self, progress: &mut dyn FnMut(&str)) {
        match self.kind {
            Kind::Local(local) => {
                progress("stopping the cluster");
                local.stop(progress).await;
            }
            Kind::External(_) => {}
            Kind::Mock(mock) => mock.stop().await,
        }
    }
}
