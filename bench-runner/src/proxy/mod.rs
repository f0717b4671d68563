//! A proxy in front of one broker's client listener. What a rule is about is delayed, held, discarded, refused or left without
//! its answer, or the proxy lies of it; everything else passes untouched, in its order.
//!
//! Runs as tasks of the control plane's runtime, and knows neither clusters nor cells. The only door to `kafka_protocol`.

mod addresses;
mod answer;
mod connection;
mod cut;
mod frame;
mod gate;
mod line;
mod rules;
#[cfg(test)]
mod tests;

pub use addresses::Directory;
pub use gate::{Gate, Gatehouse};

use bench_model::fault::{Action, FaultStep, Hits};
use rules::Rules;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// What all connections of a proxy share.
#[derive(Debug)]
struct Desk {
    rules: Mutex<Rules>,
    /// How often all rules have ended.
    ends: watch::Sender<u64>,
    /// How often all clients have been cut off.
    resets: watch::Sender<u64>,
    /// Connections of clients.
    clients: AtomicU64,
    /// Where clients are sent, if not to the addresses that brokers name.
    directory: OnceLock<Directory>,
}

impl Desk {
    fn rules(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running proxy; dropping it closes its port and all of its connections.
#[derive(Debug)]
pub struct Proxy {
    /// Where clients reach it.
    pub address: SocketAddr,
    desk: Arc<Desk>,
    acceptor: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a port of the loopback interface (0: any that is free), and passes everything on to `broker`
    /// (`host:port`).
    ///
    /// # Errors
    /// The port is taken.
    pub async fn open(port: u16, broker: String) -> io::Result<Proxy> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let address = listener.local_addr()?;
        let desk = Arc::new(Desk {
            rules: Mutex::new(Rules::default()),
            ends: watch::Sender::new(0),
            resets: watch::Sender::new(0),
            clients: AtomicU64::new(0),
            directory: OnceLock::new(),
        });
        let acceptor = tokio::spawn(accept(listener, broker, desk.clone()));
        Ok(Proxy { address, desk, acceptor })
    }

    /// From now on clients find brokers where the directory says; once.
    pub fn send_clients_to(&self, directory: Directory) {
        if self.desk.directory.set(directory).is_err() {
            tracing::error!("a proxy has a directory already");
        }
    }

    /// Carries out one step of a timeline, at once; `number` is its place there, under which its hits are counted.
    pub fn carry_out(&self, number: usize, step: &FaultStep) {
        match (step.action, step.rule) {
            (Action::Reset, _) => {
                self.desk.rules().broke(number, self.desk.clients.load(Ordering::Relaxed));
                self.desk.resets.send_modify(|count| *count += 1);
            }
            (_, Some(rule)) => self.desk.rules().add(number, step.action, rule),
            _ => {
                self.desk.rules().pass(number);
                self.desk.ends.send_modify(|count| *count += 1);
            }
        }
    }

    /// Ends all rules but those of what readers are shown, whoever has set them; how many there were.
    pub fn heal(&self) -> u64 {
        let ended = self.desk.rules().heal();
        self.desk.ends.send_modify(|count| *count += 1);
        ended
    }

    /// Ends the rules of what readers are shown; how many there were.
    pub fn show_all(&self) -> u64 {
        self.desk.rules().show_all()
    }

    /// What was counted of the step with this number.
    pub fn hits(&self, number: usize) -> Hits {
        self.desk.rules().hits(number)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

async fn accept(listener: TcpListener, broker: String, desk: Arc<Desk>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((client, _)) => {
                    let (desk, broker) = (desk.clone(), broker.clone());
                    connections.spawn(async move {
                        // A client whose broker does not listen finds its connection closed, as without a proxy.
                        if let Ok(upstream) = TcpStream::connect(broker).await {
                            connection::serve(client, upstream, &desk).await;
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a proxy could not take a connection");
                    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}
