//! `topic`: the hidden verb by which `scripts/client-cost` creates and deletes its topics.

use super::endpoints::endpoints;
use super::exit::{Exit, Failure};
use crate::kafka::admin::Admin;
use clap::Subcommand;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const TIMEOUT: Duration = Duration::from_secs(20);

/// What to do with a topic of the script's own.
#[derive(Debug, Subcommand)]
pub enum Act {
    /// Creates a topic and returns once every partition has its leader and all replicas in sync.
    Create {
        /// `host:port,host:port`.
        #[arg(long, value_parser = endpoints)]
        bootstrap_server: String,
        /// Its name.
        topic: String,
        /// Number of partitions.
        #[arg(long, default_value_t = 6)]
        partitions: u16,
        /// Replication factor.
        #[arg(long, default_value_t = 3)]
        replication_factor: u16,
    },
    /// Deletes a topic.
    Delete {
        /// `host:port,host:port`.
        #[arg(long, value_parser = endpoints)]
        bootstrap_server: String,
        /// Its name.
        topic: String,
    },
}

/// Creates or deletes one topic.
pub fn topic(act: Act) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    match act {
        Act::Create { bootstrap_server, topic, partitions, replication_factor } => {
            let admin = Admin::open(&bootstrap_server).map_err(failed)?;
            let brokers = admin.brokers(TIMEOUT).map_err(failed)?;
            // Gigabytes for each turn: the brokers' default would keep deleted ones for a minute.
            let settings = BTreeMap::from([("file.delete.delay.ms".to_owned(), "1000".to_owned())]);
            runtime
                .block_on(admin.create_topic(&topic, partitions, replication_factor, &brokers, &settings))
                .map_err(failed)?;
            await_full(&admin, &topic, partitions, replication_factor)?;
        }
        Act::Delete { bootstrap_server, topic } => {
            let admin = Admin::open(&bootstrap_server).map_err(failed)?;
            runtime.block_on(admin.delete_topic(&topic)).map_err(failed)?;
        }
    }
    Ok(Exit::Ok)
}

fn await_full(admin: &Admin, topic: &str, partitions: u16, replicas: u16) -> Result<(), Failure> {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let known = admin.partitions(topic, TIMEOUT).unwrap_or_default();
        let full =
            known.iter().filter(|one| one.leader >= 0 && one.isr.len() == usize::from(replicas)).count();
        if full == usize::from(partitions) {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(failed(format!(
                "topic {topic}: only {full} of {partitions} partitions have all replicas in sync; is the cluster whole?"
            )));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn failed(cause: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Failure, miette::miette!("{cause}"))
}
