//! Free ports on the loopback interface without a race between two runs on one machine.

use super::ClusterError;
use super::properties::BrokerPorts;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

/// Blocks lie below the kernel's usual range for outgoing connections (32768 and up).
const FIRST_PORT: u16 = 20_000;
const BLOCK_PORTS: u16 = 96;
/// Those of the controller, before the first broker's.
const FIRST_BROKER: u16 = 2;
/// Of one broker, its proxy's and gates' included.
const PORTS: u16 = 6;
const BLOCKS: u16 = 130;

/// A block of ports that no other harness on this machine takes while this value lives.
///
/// The claim is an abstract socket: the kernel gives it up with the process, whatever ends it.
#[derive(Debug)]
pub struct PortBlock {
    _claim: UnixListener,
    first: u16,
}

impl PortBlock {
    /// Claims a block for a controller and so many brokers.
    pub fn for_brokers(brokers: u16) -> Result<Self, ClusterError> {
        Self::claim(FIRST_BROKER + PORTS * brokers)
    }

    /// Claims the first free block in which the first `ports` can be bound.
    fn claim(ports: u16) -> Result<Self, ClusterError> {
        if ports > BLOCK_PORTS {
            return Err(ClusterError::unfit(
                format!("{ports} ports are needed, a local cluster has {BLOCK_PORTS}"),
                "ask for fewer brokers",
            ));
        }
        for block in 0..BLOCKS {
            let name = SocketAddr::from_abstract_name(format!("bench-runner/ports/{block}"))
                .map_err(|error| ClusterError::failed("name a block of ports", error))?;
            let Ok(claim) = UnixListener::bind_addr(&name) else { continue };
            let first = FIRST_PORT + block * BLOCK_PORTS;
            if (first..first + ports).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok()) {
                return Ok(PortBlock { _claim: claim, first });
            }
        }
        Err(ClusterError::unfit(
            format!("no block of {ports} ports is free from {FIRST_PORT} up"),
            "stop what listens there (ss -ltnp)",
        ))
    }

    /// The controller's port.
    pub fn controller(&self) -> u16 {
        self.port(0)
    }

    /// Where the controller says that it is, when it has a door.
    pub fn door(&self) -> u16 {
        self.port(1)
    }

    /// Those of the broker with this id, from 1.
    pub fn of_broker(&self, id: u16) -> BrokerPorts {
        let port = |at: u16| self.port(FIRST_BROKER + PORTS * (id - 1) + at);
        let [direct, internal, proxied, proxy, replication, quorum] = [0, 1, 2, 3, 4, 5].map(port);
        BrokerPorts { direct, internal, proxied, proxy, replication, quorum }
    }

    /// The port with this index in the block.
    fn port(&self, index: u16) -> u16 {
        self.first + index
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_claims_share_no_port_and_a_taken_port_spoils_its_block() {
        let one = PortBlock::claim(10).expect("a free block");
        let other = PortBlock::claim(10).expect("a second free block");
        assert!(one.first.abs_diff(other.first) >= BLOCK_PORTS);
        let first = other.first;
        drop(other);
        let _squatter =
            TcpListener::bind(("127.0.0.1", first + 3)).expect("a port of a block that was given up");
        assert_ne!(PortBlock::claim(10).expect("another block").first, first);
    }
}
