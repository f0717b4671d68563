//! Server properties of controller and brokers: pure, so that they can be compared with `docker-compose.yml`.

use bench_model::settings::ClusterAsk;
use std::collections::BTreeMap;
use std::path::Path;

/// The controller's node id, beyond any broker's.
pub const CONTROLLER_ID: i32 = 100;

/// Properties by name, as they are written to a file.
pub type Properties = BTreeMap<String, String>;

/// Ports of one broker.
#[derive(Debug, Clone, Copy)]
pub struct BrokerPorts {
    /// Clients, never behind a proxy.
    pub direct: u16,
    /// Replication.
    pub internal: u16,
    /// Where proxies pass on what clients send them.
    pub proxied: u16,
    /// Where clients of `proxied` are sent: to the proxy, or where there is none, to itself.
    pub proxy: u16,
    /// Where its peers are sent: to its gate, or where there is none, to `internal`.
    pub replication: u16,
    /// Where it finds the controller: at its gate, or where there is none, at the controller's own port.
    pub quorum: u16,
}

/// What every process of the cluster is told alike, for this many brokers.
///
/// The short session and heartbeat are enforced by the controller, the rest by the brokers; with eligible leader
/// replicas the controller's `min.insync.replicas` becomes the cluster's default at its first start.
pub fn shared(ask: &ClusterAsk) -> Properties {
    let replicas = ask.brokers.min(3).to_string();
    let min_isr = ask.brokers.min(2).to_string();
    let mut properties: Properties = [
        ("broker.session.timeout.ms", "3000"),
        ("broker.heartbeat.interval.ms", "500"),
        ("auto.leader.rebalance.enable", "false"),
        ("auto.create.topics.enable", "false"),
        ("default.replication.factor", replicas.as_str()),
        ("min.insync.replicas", min_isr.as_str()),
        ("offsets.topic.replication.factor", replicas.as_str()),
        ("offsets.topic.num.partitions", "8"),
        ("transaction.state.log.replication.factor", replicas.as_str()),
        ("transaction.state.log.min.isr", min_isr.as_str()),
        ("transaction.state.log.num.partitions", "8"),
        ("share.coordinator.state.topic.replication.factor", replicas.as_str()),
        ("share.coordinator.state.topic.min.isr", min_isr.as_str()),
        ("group.initial.rebalance.delay.ms", "0"),
        ("group.min.session.timeout.ms", "1000"),
        ("transaction.abort.timed.out.transaction.cleanup.interval.ms", "500"),
        ("log.retention.ms", "-1"),
        ("replica.lag.time.max.ms", "30000"),
        ("replica.fetch.wait.max.ms", "500"),
        ("num.replica.fetchers", "1"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect();
    properties.extend(ask.settings.clone());
    properties
}

/// The controller's file. Who asks the quorum for its address is told `door`, where it has one.
pub fn controller(ask: &ClusterAsk, port: u16, door: Option<u16>, data: &Path) -> Properties {
    let mut properties = shared(ask);
    quorum(&mut properties, port);
    set(&mut properties, "node.id", CONTROLLER_ID);
    set(&mut properties, "process.roles", "controller");
    set(&mut properties, "listeners", format!("CONTROLLER://127.0.0.1:{port}"));
    if let Some(door) = door {
        set(&mut properties, "advertised.listeners", format!("CONTROLLER://127.0.0.1:{door}"));
    }
    set(&mut properties, "listener.security.protocol.map", "CONTROLLER:PLAINTEXT");
    set(&mut properties, "log.dirs", data.display());
    properties
}

/// A broker's file.
pub fn broker(ask: &ClusterAsk, id: i32, ports: BrokerPorts, data: &Path) -> Properties {
    let mut properties = shared(ask);
    quorum(&mut properties, ports.quorum);
    set(&mut properties, "node.id", id);
    set(&mut properties, "process.roles", "broker");
    let direct = ports.direct;
    let listeners = |internal: u16, proxied: u16| {
        format!("DIRECT://127.0.0.1:{direct},INTERNAL://127.0.0.1:{internal},PROXIED://127.0.0.1:{proxied}")
    };
    set(&mut properties, "advertised.listeners", listeners(ports.replication, ports.proxy));
    set(&mut properties, "listeners", listeners(ports.internal, ports.proxied));
    set(&mut properties, "inter.broker.listener.name", "INTERNAL");
    set(
        &mut properties,
        "listener.security.protocol.map",
        "CONTROLLER:PLAINTEXT,DIRECT:PLAINTEXT,INTERNAL:PLAINTEXT,PROXIED:PLAINTEXT",
    );
    set(&mut properties, "log.dirs", data.display());
    properties
}

fn quorum(properties: &mut Properties, port: u16) {
    set(properties, "controller.quorum.voters", format!("{CONTROLLER_ID}@127.0.0.1:{port}"));
    set(properties, "controller.listener.names", "CONTROLLER");
}

fn set(properties: &mut Properties, name: &str, value: impl ToString) {
    properties.insert(name.to_owned(), value.to_string());
}

/// The text of a Java properties file.
pub fn text(properties: &Properties) -> String {
    properties.iter().map(|(name, value)| format!("{name}={}\n", value.replace('\\', "\\\\"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn internal_topics_ask_for_no_more_replicas_than_there_are_brokers() {
        let ask = |brokers| ClusterAsk { brokers, ..ClusterAsk::default() };
        assert_eq!(shared(&ask(1))["offsets.topic.replication.factor"], "1");
        assert_eq!(shared(&ask(1))["transaction.state.log.min.isr"], "1");
        assert_eq!(shared(&ask(5))["offsets.topic.replication.factor"], "3");
        assert_eq!(shared(&ask(5))["min.insync.replicas"], "2");
    }

    #[test]
    fn a_profiles_setting_replaces_ours() {
        let settings = [("log.retention.ms".to_owned(), "1000".to_owned())].into();
        let ask = ClusterAsk { settings, ..ClusterAsk::default() };
        assert_eq!(controller(&ask, 1, None, Path::new("/d"))["log.retention.ms"], "1000");
    }
}
