//! A gate on the way between two processes of a cluster: bytes pass until it is shut, then every connection breaks and no other
//! is let in. It understands nothing of what passes; only a door that several share looks who it is.
//!
//! Gates have a thread and a runtime of their own: replication must not wait for whatever else the control plane does.

use super::frame::client_id;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The thread of some gates; dropping it closes them all.
#[derive(Debug)]
pub struct Gatehouse {
    runtime: tokio::runtime::Handle,
    _end: tokio::sync::oneshot::Sender<()>,
}

impl Gatehouse {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system gives no thread, or no runtime.
    pub fn open() -> io::Result<Gatehouse> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let run = move || {
            // An error is the sender's end, which is what is waited for.
            let _ = runtime.block_on(ended);
        };
        std::thread::Builder::new().name("gates".to_owned()).spawn(run)?;
        Ok(Gatehouse { runtime: handle, _end: end })
    }

    /// Lets everything that comes to `listener` through to `target`.
    ///
    /// # Errors
    /// The listener is of no use.
    pub fn gate(&self, listener: TcpListener, target: SocketAddr) -> io::Result<Gate> {
        listener.set_nonblocking(true)?;
        let gate = Gate::open();
        self.runtime.spawn(keep(listener, target, vec![(None, gate.seen())]));
        Ok(gate)
    }

    /// Lets these visitors through to `target`, each at a gate of its own, and nobody else. Who it is, is the number at the end of
    /// the client id in its first request.
    ///
    /// # Errors
    /// The listener is of no use.
    pub fn door(&self, listener: TcpListener, target: SocketAddr, visitors: &[i32]) -> io::Result<Vec<Gate>> {
        listener.set_nonblocking(true)?;
        let gates: Vec<Gate> = visitors.iter().map(|_| Gate::open()).collect();
        let known =
            visitors.iter().zip(&gates).map(|(visitor, gate)| (Some(*visitor), gate.seen())).collect();
        self.runtime.spawn(keep(listener, target, known));
        Ok(gates)
    }
}

/// What a connection has to know of its gate: whether it is shut, and the count of those that pass.
type Seen = (watch::Receiver<bool>, Arc<AtomicU64>);

/// One way through.
#[derive(Debug)]
pub struct Gate {
    is_shut: watch::Sender<bool>,
    /// Connections that pass.
    open: Arc<AtomicU64>,
}

impl Gate {
    fn open() -> Self {
        Gate { is_shut: watch::Sender::new(false), open: Arc::default() }
    }

    fn seen(&self) -> Seen {
        (self.is_shut.subscribe(), Arc::clone(&self.open))
    }

    /// Breaks every connection (RST) and lets no other in; or lets all in again.
    pub fn shut(&self, shut: bool) {
        self.is_shut.send_replace(shut);
    }

    /// Whether it is shut.
    pub fn is_shut(&self) -> bool {
        *self.is_shut.borrow()
    }

    /// Connections that pass now.
    pub fn passing(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }
}

/// Takes every connection to the gate of its visitor; without one a gate is for all.
async fn keep(listener: TcpListener, target: SocketAddr, gates: Vec<(Option<i32>, Seen)>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    let mut passing = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = passing.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((from, _)) => {
                    passing.spawn(admit(from, target, gates.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "a gate could not take a connection");
                    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                }
            },
        }
    }
}

async fn admit(from: TcpStream, target: SocketAddr, gates: Vec<(Option<i32>, Seen)>) {
    let for_all = gates.iter().any(|(visitor, _)| visitor.is_none());
    let visitor = if for_all { None } else { visitor(&from).await };
    match gates.into_iter().find(|(own, _)| *own == visitor) {
        Some((_, (is_shut, open))) if !*is_shut.borrow() => pass(from, target, (is_shut, open)).await,
        Some(_) => break_off(&from),
        None => {
            tracing::warn!(?visitor, "a stranger stood at the controller's door");
            break_off(&from);
        }
    }
}

/// So often, once a millisecond, somebody who has begun to speak is looked at before he is a stranger.
const LOOKS: u32 = 1_000;

/// Who has made a connection, by its first request, which is left in it: 1 for `1`, and for `raft-client-1`.
async fn visitor(from: &TcpStream) -> Option<i32> {
    let mut head = [0; 128];
    for _ in 0..LOOKS {
        let seen = from.peek(&mut head).await.ok().filter(|seen| *seen > 0)?;
        match client_id(&head[..seen]) {
            Some(name) => return name.rsplit('-').next()?.parse().ok(),
            None if seen == head.len() => return None,
            // The rest of its head is under way.
            None => tokio::time::sleep(std::time::Duration::from_millis(1)).await,
        }
    }
    None
}

async fn pass(mut from: TcpStream, target: SocketAddr, (is_shut, open): Seen) {
    // Who listens to nobody finds the connection closed, as without a gate.
    let Ok(mut to) = TcpStream::connect(target).await else { return };
    if from.set_nodelay(true).and_then(|()| to.set_nodelay(true)).is_err() {
        return;
    }
    open.fetch_add(1, Ordering::Relaxed);
    tokio::select! {
        biased;
        () = shut(is_shut) => [&from, &to].into_iter().for_each(break_off),
        _ = tokio::io::copy_bidirectional(&mut from, &mut to) => {}
    }
    open.fetch_sub(1, Ordering::Relaxed);
}

/// Waits until the gate is shut, or gone.
async fn shut(mut is_shut: watch::Receiver<bool>) {
    let _ = is_shut.wait_for(|shut| *shut).await;
}

/// Lets a connection end by RST when it is dropped.
fn break_off(stream: &TcpStream) {
    if let Err(error) = stream.set_zero_linger() {
        tracing::warn!(%error, "a gate closes a connection in good order");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{Ipv4Addr, TcpStream as Plain};

    #[test]
    fn bytes_pass_until_the_gate_is_shut_and_again_when_it_is_open() {
        let target = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let house = Gatehouse::open().expect("a thread");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let gate = house.gate(listener, target.local_addr().expect("an address")).expect("a gate");
        let talk = || {
            let mut near = Plain::connect(address).expect("the gate listens");
            let (mut far, _) = target.accept().expect("it is let through");
            near.write_all(b"there").expect("sent");
            let mut heard = [0; 5];
            far.read_exact(&mut heard).expect("heard");
            far.write_all(b"back!").expect("sent");
            near.read_exact(&mut heard).expect("heard");
            assert_eq!(&heard, b"back!");
            (near, far)
        };
        let (mut near, mut far) = talk();
        assert_eq!((gate.passing(), gate.is_shut()), (1, false));
        gate.shut(true);
        for stream in [&mut near, &mut far] {
            assert_eq!(stream.read(&mut [0; 1]).expect_err("broken").kind(), io::ErrorKind::ConnectionReset);
        }
        let mut refused = Plain::connect(address).expect("the port is there");
        assert!(refused.read(&mut [0; 1]).is_err(), "nothing is behind it");
        gate.shut(false);
        talk();
    }

    #[test]
    fn a_door_knows_its_visitors_and_shuts_out_one_alone() {
        let target = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let house = Gatehouse::open().expect("a thread");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let place = target.local_addr().expect("an address");
        let gates = house.door(listener, place, &[1, 2]).expect("a door");
        let request = |client: &str| {
            let content = [&[0, 18, 0, 3, 0, 0, 0, 1, 0, client.len() as u8], client.as_bytes()].concat();
            [&(content.len() as i32).to_be_bytes()[..], &content].concat()
        };
        let knock = |client: &str| {
            let mut near = Plain::connect(address).expect("the door is there");
            near.write_all(&request(client)).expect("sent");
            near
        };
        let is_refused = |mut near: Plain| near.read(&mut [0; 1]).is_err();
        let enter = |client: &str| {
            let near = knock(client);
            let (mut far, _) = target.accept().expect("it is let through");
            let mut heard = vec![0; request(client).len()];
            far.read_exact(&mut heard).expect("heard");
            assert_eq!(heard, request(client), "what told who it is goes on, too");
            (near, far)
        };
        let (mut one, _far) = enter("raft-client-1");
        let (_two, _far_too) = enter("2");
        assert_eq!(gates.iter().map(Gate::passing).collect::<Vec<_>>(), [1, 1]);
        gates[0].shut(true);
        assert_eq!(one.read(&mut [0; 1]).expect_err("broken").kind(), io::ErrorKind::ConnectionReset);
        assert!(is_refused(knock("raft-client-1")) && is_refused(knock("3")) && is_refused(knock("nobody")));
        enter("raft-client-2");
        gates[0].shut(false);
        enter("1");
    }
}
