//! The proxies of a cluster: one in front of each broker, or none at all.

use super::ClusterError;
use super::ports::PortBlock;
use crate::proxy::{Directory, Proxy};
use bench_model::ids::BrokerId;

/// By broker, ascending.
#[derive(Default)]
pub struct Proxies(Vec<(BrokerId, Proxy)>);

impl Proxies {
    /// Opens one for each broker of a local cluster, on the ports of the block that are theirs: the brokers advertise them.
    pub async fn open(ports: &PortBlock, brokers: &[BrokerId]) -> Result<Self, ClusterError> {
        let mut proxies = Vec::new();
        for id in brokers {
            let ports = ports.of_broker(id.0 as u16);
            proxies.push(open(*id, ports.proxy, format!("127.0.0.1:{}", ports.proxied)).await?);
        }
        Ok(Proxies(proxies))
    }

    /// Opens one for each broker of another cluster, on ports that are free: they rewrite what brokers say of each other.
    pub async fn before(brokers: &[(BrokerId, String)]) -> Result<Self, ClusterError> {
        let mut proxies = Vec::new();
        for (id, endpoint) in brokers {
            proxies.push(open(*id, 0, endpoint.clone()).await?);
        }
        let directory = Directory::of(proxies.iter().map(|(id, proxy)| (id.0, proxy.address)));
        for (_, proxy) in &proxies {
            proxy.send_clients_to(directory.clone());
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

async fn open(id: BrokerId, port: u16, endpoint: String) -> Result<(BrokerId, Proxy), ClusterError> {
    let failed = |error| ClusterError::failed(format!("open the proxy of broker {id}"), error);
    Ok((id, Proxy::open(port, endpoint).await.map_err(failed)?))
}
