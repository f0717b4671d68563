//! The mock provider through the real binary: in a process of its own, stamped, and gone with its harness.

mod held;

use held::{Held, survivors};
use std::net::TcpStream;
use std::time::Duration;

#[test]
fn the_mock_says_that_it_is_not_kafka_and_dies_with_its_harness() {
    let state = tempfile::tempdir().expect("a directory");
    let held = Held::start(state.path(), &["--mock", "--brokers", "2"]);
    assert_eq!(held.ready["facts"]["version"], "mock: not Kafka; no durability claim");
    let addresses: Vec<&str> = held.bootstrap().split(',').collect();
    assert_eq!(addresses.len(), 2);
    for address in addresses {
        TcpStream::connect(address).expect("a mock broker listens");
    }
    let processes = held.children();
    assert_eq!(processes.len(), 1);
    held.signal(libc::SIGKILL);
    held.end(false);
    assert_eq!(survivors(&processes, Duration::from_secs(5)), Vec::<u32>::new());
}
