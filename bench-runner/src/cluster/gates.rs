//! The gates of a local cluster, or none at all: for each broker one on the way from its peers, one where it looks for the
//! controller, and one in the door where the quorum says that the controller is.

use super::ClusterError;
use super::ports::PortBlock;
use super::properties::CONTROLLER_ID;
use crate::proxy::{Gate, Gatehouse};
use bench_model::fault::Action;
use bench_model::ids::BrokerId;
use std::net::{Ipv4Addr, TcpListener};

/// By broker, ascending.
#[derive(Default)]
pub struct Gates {
    all: Vec<(BrokerId, [Gate; 3])>,
    // Dropped last.
    _house: Option<Gatehouse>,
}

impl Gates {
    /// Opens those of each broker, on the ports of the block that are theirs.
    pub fn open(ports: &PortBlock, brokers: &[BrokerId]) -> Result<Self, ClusterError> {
        let failed = |error| ClusterError::failed("open the gates of the brokers", error);
        let house = Gatehouse::open().map_err(failed)?;
        let listen = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(failed);
        let gate =
            |port: u16, to: u16| house.gate(listen(port)?, (Ipv4Addr::LOCALHOST, to).into()).map_err(failed);
        // The controller visits itself, and is never shut out.
        let visitors: Vec<i32> = brokers.iter().map(|id| id.0).chain([CONTROLLER_ID]).collect();
        let controller = (Ipv4Addr::LOCALHOST, ports.controller()).into();
        let doors = house.door(listen(ports.door())?, controller, &visitors).map_err(failed)?;
        let mut all = Vec::new();
        for (id, door) in brokers.iter().zip(doors) {
            let of = ports.of_broker(id.0 as u16);
            let peers = gate(of.replication, of.internal)?;
            all.push((*id, [peers, gate(of.quorum, ports.controller())?, door]));
        }
        Ok(Gates { all, _house: Some(house) })
    }

    /// Isolates a broker, or connects it again, at once.
    pub fn carry_out(&self, broker: BrokerId, action: Action) -> Result<(), ClusterError> {
        let gates = self.of(broker).ok_or_else(|| {
            ClusterError::failed(format!("{} broker {broker}", action.as_str()), "there is no gate before it")
        })?;
        for gate in shut_by(action, gates) {
            gate.shut(action.isolates());
        }
        Ok(())
    }

    /// What the gates of a broker show after the action; `None`: not that.
    pub fn prove(&self, broker: BrokerId, action: Action) -> Option<String> {
        let gates = shut_by(action, self.of(broker)?);
        let passing = gates.iter().map(Gate::passing).sum::<u64>();
        match action {
            _ if action.isolates() && passing == 0 && gates.iter().all(Gate::is_shut) => {
                Some(format!("broker {broker}: {} gates are shut, nothing passes", gates.len()))
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
        let open = |(id, gates): &(BrokerId, [Gate; 3])| {
            gates.iter().for_each(|gate| gate.shut(false));
            format!("opened the gates of broker {id}")
        };
        shut.map(open).collect()
    }

    fn of(&self, broker: BrokerId) -> Option<&[Gate; 3]> {
        self.all.iter().find(|(id, _)| *id == broker).map(|(_, gates)| gates)
    }
}

/// Those that an action is about: who is isolated, but not fully, may still learn the controller's log through the door.
fn shut_by(action: Action, gates: &[Gate; 3]) -> &[Gate] {
    if action == Action::Isolate { &gates[..2] } else { gates }
}
