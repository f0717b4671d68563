//! A cluster that somebody else runs: checked for fitness, never touched otherwise. Proxies may stand before it.

use super::proxies::Proxies;
use super::{Ask, ClusterError, broker_settings, protocol};
use crate::kafka::probe;
use bench_model::ids::BrokerId;
use bench_model::result::ClusterFacts;
use std::collections::BTreeMap;

/// A reachable cluster.
pub struct External {
    /// As it was given.
    pub bootstrap: String,
    /// Registered brokers, and where each listens.
    pub brokers: Vec<(BrokerId, String)>,
    /// Those before it, if some clients are to reach it through proxies.
    pub proxies: Proxies,
}

impl External {
    /// Where brokers are asked about partitions and coordinators; `None`: nobody needs to know, as nothing is done to them.
    pub fn endpoints(&self) -> Option<Vec<String>> {
        self.proxies.bootstrap()?;
        Some(self.brokers.iter().map(|(_, endpoint)| endpoint.clone()).collect())
    }
}

/// Checks that the cluster is reachable and can hold the plan's replicas.
pub async fn reach(bootstrap: String, ask: &Ask) -> Result<(External, ClusterFacts), ClusterError> {
    if ask.cluster.stated.heap {
        return Err(ClusterError::unfit(
            "the profile asks for a heap of the brokers, and that of an external cluster can be neither set nor seen",
            "leave heap out of [cluster], or run on the local cluster (without --bootstrap-server)",
        ));
    }
    let mut reason = "no bootstrap server was given".to_owned();
    for endpoint in bootstrap.split(',').map(str::trim).filter(|endpoint| !endpoint.is_empty()) {
        match protocol::registered_brokers(endpoint).await {
            Ok(found) => {
                let ids: Vec<BrokerId> = found.iter().map(|broker| BrokerId(broker.id)).collect();
                let facts = facts(endpoint, &bootstrap, &ids, ask).await?;
                let endpoints = found.into_iter().map(|broker| broker.endpoint);
                let brokers: Vec<_> = ids.into_iter().zip(endpoints).collect();
                let proxies = if ask.proxied { Proxies::before(&brokers).await? } else { Proxies::default() };
                return Ok((External { bootstrap, brokers, proxies }, facts));
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
    if ask.cluster.stated.brokers && brokers.len() != usize::from(ask.cluster.brokers) {
        return Err(ClusterError::unfit(
            format!("{} brokers are registered, the profile asks for {}", brokers.len(), ask.cluster.brokers),
            "leave brokers out of [cluster], or give a cluster of that many",
        ));
    }
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
    let asked = &ask.cluster.settings;
    for broker in brokers.iter().filter(|_| !asked.is_empty()) {
        if let Some(difference) = difference(asked, &broker_settings(bootstrap, broker.0).await?) {
            return Err(ClusterError::unfit(
                format!("broker {}: {difference}", broker.0),
                "set it on every broker, or leave it out of the profile: settings of an external cluster are not changed from here",
            ));
        }
    }
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

/// The first setting that is not as the profile asks for it.
fn difference(asked: &BTreeMap<String, String>, found: &BTreeMap<String, String>) -> Option<String> {
    let differs = |(name, value): &(&String, &String)| found.get(*name) != Some(*value);
    let (name, value) = asked.iter().find(differs)?;
    let found = found.get(name).map_or("cannot be read".to_owned(), |found| format!("is {found}"));
    Some(format!("{name} {found}, the profile asks for {value}"))
}

#[cfg(test)]
mod tests {
    use super::difference;
    use std::collections::BTreeMap;

    #[test]
    fn a_setting_must_be_what_the_profile_asks_for() {
        let settings = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let found = settings(&[("num.io.threads", "8"), ("log.flush.interval.messages", "1")]);
        assert_eq!(difference(&settings(&[]), &found), None);
        assert_eq!(difference(&settings(&[("num.io.threads", "8")]), &found), None);
        let told = difference(&settings(&[("num.io.threads", "3")]), &found).expect("a difference");
        assert_eq!(told, "num.io.threads is 8, the profile asks for 3");
        let told = difference(&settings(&[("no.such", "1")]), &found).expect("a difference");
        assert_eq!(told, "no.such cannot be read, the profile asks for 1");
    }
}
