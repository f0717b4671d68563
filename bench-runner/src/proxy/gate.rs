//! A gate on the way between two processes of a cluster: bytes pass until it is shut, then every connection breaks and no other
//! is let in. It understands nothing of what passes.
//!
//! Gates have a thread and a runtime of their own: replication must not wait for whatever else the control plane does.

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
        let gate = Gate { is_shut: watch::Sender::new(false), open: Arc::default() };
        self.runtime.spawn(keep(listener, target, gate.is_shut.subscribe(), Arc::clone(&gate.open)));
        Ok(gate)
    }
}

/// One way through.
#[derive(Debug)]
pub struct Gate {
    is_shut: watch::Sender<bool>,
    /// Connections that pass.
    open: Arc<AtomicU64>,
}

impl Gate {
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

async fn keep(
    listener: TcpListener,
    target: SocketAddr,
    mut is_shut: watch::Receiver<bool>,
    open: Arc<AtomicU64>,
) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    let mut passing = JoinSet::new();
    loop {
        tokio::select! {
            // Without its gate nobody would ever shut it again.
            changed = is_shut.changed() => if changed.is_err() { return },
            Some(_) = passing.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((from, _)) if *is_shut.borrow() => break_off(&from),
                Ok((from, _)) => {
                    passing.spawn(pass(from, target, is_shut.clone(), Arc::clone(&open)));
                }
                Err(error) => {
                    tracing::warn!(%error, "a gate could not take a connection");
                    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                }
            },
        }
    }
}

async fn pass(mut from: TcpStream, target: SocketAddr, is_shut: watch::Receiver<bool>, open: Arc<AtomicU64>) {
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
}
