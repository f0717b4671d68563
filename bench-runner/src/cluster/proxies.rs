//! The proxies of a local cluster: one in front of each broker, or none at all.

use super::ClusterError;
use super::ports::PortBlock;
use crate::proxy::Proxy;
use bench_model::ids::BrokerId;
use std::net::Ipv4Addr;

/// By broker, ascending.
#[derive(Default)]
pub struct Proxies(Vec<(BrokerId, Proxy)>);

impl Proxies {
    /// Opens one for each broker, on the ports of the block that are theirs.
    pub async fn open(ports: &PortBlock, brokers: &[BrokerId]) -> Result<Self, ClusterError> {
        let mut proxies = Vec::new();
        for id in brokers {
            let ports = ports.of_broker(id.0 as u16);
            let opened = Proxy::open(ports.proxy, (Ipv4Addr::LOCALHOST, ports.proxied).into()).await;
            let failed = |error| ClusterError::failed(format!("open the proxy of broker {id}"), error);
            proxies.push((*id, opened.map_err(failed)?));
        }
        Ok(Proxies(proxies))
    }

    /// Their addresses; `None`: there are none.
    pub fn bootstrap(&self) -> Option<String> {
        let addresses: Vec<String> = self.0.iter().map(|(_, proxy)| proxy.address.to_string()).collect();
        (!addresses.is_empty()).then(|| addresses.join(","))
    }

    /// The one in front of a broker.
    pub fn of(&self, broker: BrokerId) -> Option<&Proxy> {
        self.0.iter().find(|(id, _)| *id == broker).map(|(_, proxy)| proxy)
    }

    /// Ends all rules but those of what readers are shown; returns what had to be done.
    pub fn heal(&self) -> Vec<String> {
        let ended = self.0.iter().map(|(id, proxy)| (id, proxy.heal()));
        let told = |(id, rules)| format!("ended {rules} rules of the proxy of broker {id}");
        ended.filter(|(_, rules)| *rules > 0).map(told).collect()
    }

    /// Shows readers everything again.
    pub fn show_all(&self) {
        for (id, proxy) in &self.0 {
            let rules = proxy.show_all();
            if rules > 0 {
                tracing::info!(broker = %id, rules, "a proxy shows readers everything again");
            }
        }
    }
}
