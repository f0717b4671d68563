//! The gates of a local cluster: two for each broker, on the ways from its peers and to the controller, or none at all.

use super::ClusterError;
use super::ports::PortBlock;
use crate::proxy::{Gate, Gatehouse};
use bench_model::fault::Action;
use bench_model::ids::BrokerId;
use std::net::{Ipv4Addr, TcpListener};

/// By broker, ascending.
#[derive(Default)]
pub struct Gates {
    all: Vec<(BrokerId, [Gate; 2])>,
    // Dropped last.
    _house: Option<Gatehouse>,
}

impl Gates {
    /// Opens those of each broker, on the ports of the block that are theirs.
    pub fn open(ports: &PortBlock, brokers: &[BrokerId]) -> Result<Self, ClusterError> {
        let failed = |error| ClusterError::failed("open the gates of the brokers", error);
        let house = Gatehouse::open().map_err(failed)?;
        let mut all = Vec::new();
        for id in brokers {
            let of = ports.of_broker(id.0 as u16);
            let gate = |port: u16, to: u16| {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(failed)?;
                house.gate(listener, (Ipv4Addr::LOCALHOST, to).into()).map_err(failed)
            };
            all.push((*id, [gate(of.replication, of.internal)?, gate(of.quorum, ports.controller())?]));
        }
        Ok(Gates { all, _house: Some(house) })
    }

    /// Isolates a broker, or connects it again, at once.
    pub fn carry_out(&self, broker: BrokerId, action: Action) -> Result<(), ClusterError> {
        let gates = self.of(broker).ok_or_else(|| {
            ClusterError::failed(format!("{} broker {broker}", action.as_str()), "there is no gate before it")
        })?;
        for gate in gates {
            gate.shut(action == Action::Isolate);
        }
        Ok(())
    }

    /// What the gates of a broker show after the action; `None`: not that.
    pub fn prove(&self, broker: BrokerId, action: Action) -> Option<String> {
        let gates = self.of(broker)?;
        let passing = gates.iter().map(Gate::passing).sum::<u64>();
        match action {
            Action::Isolate if passing == 0 && gates.iter().all(Gate::is_shut) => {
                Some(format!("broker {broker}: both gates are shut, nothing passes"))
            }
            Action::Reconnect if passing > 0 && !gates.iter().any(Gate::is_shut) => {
                Some(format!("broker {broker}: {passing} connections pass its gates"))
            }
            _ => None,
        }
    }

    /// Opens all that are shut; returns what had to be done.
    pub fn heal(&self) -> Vec<String> {
        let shut = self.all.iter().filter(|(_, gates)| gates.iter().any(Gate::is_shut));
        let open = |(id, gates): &(BrokerId, [Gate; 2])| {
            gates.iter().for_each(|gate| gate.shut(false));
            format!("opened the gates of broker {id}")
        };
        shut.map(open).collect()
    }

    fn of(&self, broker: BrokerId) -> Option<&[Gate; 2]> {
        self.all.iter().find(|(id, _)| *id == broker).map(|(_, gates)| gates)
    }
}
