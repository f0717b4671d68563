//! What is done to the processes of a local cluster and to their disks, its proof by the operating system, and its undo.

use super::super::ClusterError;
use super::super::properties::CONTROLLER_ID;
use super::super::usage::{self, Usage};
use super::{Local, Node, START_LIMIT};
use bench_model::fault::Action;
use bench_model::ids::BrokerId;
use std::io;
use std::time::{Duration, Instant};

const PROOF_LIMIT: Duration = Duration::from_secs(2);
/// How long a broker may take to end in good order.
const END_LIMIT: Duration = Duration::from_secs(60);

impl Node {
    /// Its present life ends, which had used so much.
    fn end(&mut self, spent: Usage) {
        self.ending = true;
        self.spent.cpu_ns += spent.cpu_ns;
        self.spent.disk_write_bytes += spent.disk_write_bytes;
    }
}

impl Local {
    /// Carries out one action at once.
    pub fn send(&mut self, broker: BrokerId, action: Action) -> Result<(), ClusterError> {
        let signal = match action {
            Action::Stop => libc::SIGSTOP,
            Action::Continue => libc::SIGCONT,
            Action::Kill | Action::PowerCut => libc::SIGKILL,
            Action::Terminate => libc::SIGTERM,
            action if action.is_at_gate() => return self.gates.carry_out(broker, action),
            Action::Start => {
                self.bury(broker.0)?;
                self.mend(broker.0)?;
                return self.spawn(broker.0, Vec::new());
            }
            Action::FillDisk | Action::WriteProtect => return self.break_disk(broker, action),
            other => {
                return Err(ClusterError::failed(
                    format!("{other:?} broker {broker}"),
                    "it is done by proxies",
                ));
            }
        };
        let node = self.node(broker.0)?;
        let name = node.name.clone();
        let failed = |cause: io::Error| ClusterError::failed(format!("{action:?} {name}"), cause);
        let process = node.process.as_ref().ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
        let before = usage::of_process(process.identity.pid);
        process.signal(signal).map_err(failed)?;
        if action.ends() {
            node.end(before);
        }
        Ok(())
    }

    /// The broker will end itself.
    fn break_disk(&mut self, broker: BrokerId, action: Action) -> Result<(), ClusterError> {
        let node = self.node(broker.0)?;
        let (name, data, log) = (node.name.clone(), node.data(), node.log());
        let pid = node.process.as_ref().map(|process| process.identity.pid);
        let failed = |cause: io::Error| ClusterError::failed(format!("{action:?} of {name}"), cause);
        let before = usage::of_process(pid.ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?);
        self.disks.carry_out(broker, action, &data, &log).map_err(failed)?;
        self.node(broker.0)?.end(before);
        Ok(())
    }

    /// Whether there was anything to mend.
    fn mend(&mut self, id: i32) -> Result<bool, ClusterError> {
        let failed = |error| ClusterError::failed(format!("mend the disk of broker {id}"), error);
        self.disks.mend(BrokerId(id)).map_err(failed)
    }

    /// Makes room for a new life; an error if the old one has not ended.
    pub(super) fn bury(&mut self, id: i32) -> Result<(), ClusterError> {
        let node = self.node(id)?;
        if let Some(process) = &mut node.process {
            if process.ended().is_none() {
                return Err(ClusterError::failed(format!("start {}", node.name), "it is still running"));
            }
            node.process = None;
        }
        Ok(())
    }

    /// What the operating system shows after an action.
    pub async fn prove(&mut self, broker: BrokerId, action: Action) -> Option<String> {
        let began = Instant::now();
        let ends_itself = action == Action::Terminate || action.is_at_disk();
        let limit = if ends_itself { END_LIMIT } else { PROOF_LIMIT };
        while began.elapsed() < limit {
            let seen = self.gates.prove(broker, action);
            if seen.is_some() {
                return seen;
            }
            let disk = self.disks.prove(broker);
            let node = self.node(broker.0).ok()?;
            let process = node.process.as_mut()?;
            let pid = process.identity.pid;
            let ended = process.ended();
            let state = process.state();
            let proof = match (action, state, ended) {
                (Action::Stop, Some('T'), _) => Some(format!("pid {pid} is in state T")),
                (Action::Continue, Some(state), None) if !matches!(state, 'T' | 'Z') => {
                    Some(format!("pid {pid} is in state {state}"))
                }
                (Action::Kill | Action::PowerCut, _, Some(status)) => {
                    Some(format!("pid {pid} is gone ({status})"))
                }
                // Whoever obeys ends by itself, and not by a signal.
                (Action::Terminate, _, Some(status)) if status.code().is_some() => {
                    Some(format!("pid {pid} has ended ({status})"))
                }
                (Action::FillDisk | Action::WriteProtect, _, Some(status)) if status.code().is_some() => {
                    disk.map(|disk| format!("{disk}; pid {pid} has ended ({status})"))
                }
                (Action::Start, Some(_), None) => Some(format!("pid {pid} runs")),
                _ => None,
            };
            if let Some(proof) = proof {
                return Some(format!("{}: {proof}", node.name));
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        None
    }

    /// Undoes every fault; returns what had to be done.
    pub async fn heal(&mut self) -> Result<Vec<String>, ClusterError> {
        let mut done = self.proxies.heal();
        done.extend(self.gates.heal());
        for id in std::iter::once(CONTROLLER_ID).chain(self.broker_ids().into_iter().map(|id| id.0)) {
            let is_mended = self.mend(id)?;
            let node = self.node(id)?;
            let name = node.name.clone();
            if is_mended {
                done.push(format!("mended the disk of {name}"));
                // What it has not written by now nobody knows; an error means that it is gone.
                let _ = node.process.as_ref().map(|process| process.signal(libc::SIGKILL));
            }
            if node.ending
                && let Some(process) = &mut node.process
            {
                process
                    .end(END_LIMIT)
                    .await
                    .map_err(|error| ClusterError::failed(format!("end {name}"), error))?;
            }
            let alive = node.process.as_mut().filter(|process| process.state() != Some('Z'));
            match alive {
                Some(process) if process.state() == Some('T') => {
                    process.signal(libc::SIGCONT).map_err(|error| ClusterError::failed("continue", error))?;
                    done.push(format!("continued {name}"));
                }
                Some(process) if process.state().is_some() => {}
                _ => {
                    node.process = None;
                    self.spawn(id, Vec::new())?;
                    done.push(format!("started {name} again"));
                }
            }
        }
        self.wait_registered(START_LIMIT).await?;
        Ok(done)
    }
}
