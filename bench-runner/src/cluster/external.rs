//! A cluster that somebody else runs: checked for fitness, never touched otherwise.

use super::{Ask, ClusterError, broker_settings, protocol};
use crate::kafka::probe;
use bench_model::ids::BrokerId;
use bench_model::result::ClusterFacts;

/// A reachable cluster.
pub struct External {
    /// As it was given.
    pub bootstrap: String,
    /// Registered brokers.
    pub brokers: Vec<BrokerId>,
}

/// Checks that the cluster is reachable and can hold the plan's replicas.
pub async fn reach(bootstrap: String, ask: &Ask) -> Result<(External, ClusterFacts), ClusterError> {
    let mut reason = "no bootstrap server was given".to_owned();
    for endpoint in bootstrap.split(',').map(str::trim).filter(|endpoint| !endpoint.is_empty()) {
        match protocol::registered_brokers(endpoint).await {
            Ok(found) => {
                let brokers: Vec<BrokerId> = found.iter().map(|broker| BrokerId(broker.id)).collect();
                let facts = facts(endpoint, &bootstrap, &brokers, ask).await?;
                return Ok((External { bootstrap, brokers }, facts));
            }
            Err(error) => reason = format!("{endpoint} does not answer: {error}"),
        }
    }
    Err(ClusterError::unfit(
        reason,
        "check the address, and that the listener is plaintext (host:port,host:port)",
    ))
}

async fn facts(
    endpoint: &str,
    bootstrap: &str,
    brokers: &[BrokerId],
    ask: &Ask,
) -> Result<ClusterFacts, ClusterError> {
    let Some(first) = brokers.first().filter(|_| brokers.len() >= usize::from(ask.replication_factor)) else {
        return Err(ClusterError::unfit(
            format!(
                "{} brokers are registered, the plan needs {} replicas",
                brokers.len(),
                ask.replication_factor
            ),
            "add brokers, or lower the replication factor in the profile",
        ));
    };
    probe::can_create(bootstrap, ask.replication_factor).await.map_err(|cause| {
        ClusterError::unfit(
            format!("a topic with {} replicas cannot be created: {cause}", ask.replication_factor),
            "check the brokers' health and the right to create topics",
        )
    })?;
    let features = protocol::features(endpoint)
        .await
        .map_err(|error| ClusterError::failed(format!("ask {endpoint} for its features"), error))?;
    let settings = broker_settings(bootstrap, first.0).await?;
    let level = features.get("metadata.version").map_or("unknown", String::as_str);
    Ok(ClusterFacts {
        provider: "external".to_owned(),
        version: format!("Apache Kafka, metadata.version {level} (a broker does not tell its version)"),
        brokers: brokers.len() as u16,
        facts: [("bootstrap".to_owned(), bootstrap.to_owned())].into(),
        features,
        settings,
        ..ClusterFacts::default()
    })
}
