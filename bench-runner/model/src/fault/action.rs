//! What a step of a fault timeline does, and what undoes it.

use serde::{Deserialize, Serialize};

/// What is done to a process of the cluster, or by the proxy in front of a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// SIGSTOP; undone by `continue`.
    Stop,
    /// SIGCONT.
    Continue,
    /// SIGKILL; undone by `start`.
    Kill,
    /// SIGTERM, which a broker obeys in good order; undone by `start`.
    Terminate,
    /// SIGKILL, then what was not flushed is cut from its logs; undone by `start`.
    PowerCut,
    /// Start a broker again that is dead.
    Start,
    /// Leadership of partition 0 is handed to it in good order (preferred election).
    Elect,
    /// Nothing passes between it and its peers or the controller; clients still reach it. Undone by `reconnect`.
    Isolate,
    /// As `isolate`, and it reads the controller's log no more: it learns of nothing. Undone by `reconnect`.
    IsolateFully,
    /// All passes again.
    Reconnect,
    /// The proxy waits before it passes a request on; what is behind it on its connection waits, too.
    Delay,
    /// As `delay`, until `pass`.
    Hold,
    /// The proxy does not pass a request on, and says nothing.
    Discard,
    /// The proxy does not pass a request on, and answers with an error.
    Refuse,
    /// The proxy passes a request on, and not the answer.
    Withhold,
    /// A lie of the proxy: it does not pass a request on, and answers as if all was well.
    Acknowledge,
    /// A lie of the proxy: it passes a request on twice, and one of the answers.
    Duplicate,
    /// A lie of the proxy: it passes a request on behind the next one of its connection, and the answers in the order of the
    /// requests.
    Swap,
    /// A lie of the proxy: readers are shown a log that ends at an offset, until `pass` or until the cell's log was read.
    Truncate,
    /// The proxy breaks the connections of its clients (RST), and leaves those to the broker open until all is answered.
    Reset,
    /// All rules of the proxy end: what is held goes on.
    Pass,
    /// Its replicas of the cell's topic move to brokers that have none of the partition; undone by `restore`.
    Reassign,
    /// The topic's `min.insync.replicas` is changed; undone by `restore`.
    SetMinIsr,
    /// The topic's setting is again what it was, or the replicas that had moved off a broker are back.
    Restore,
    /// The topic is deleted. Nothing undoes that.
    Delete,
    /// No byte is left on its disk: it ends itself when it wants to write. Undone by `start`.
    FillDisk,
    /// Nothing more can be opened for writing in its log directory: it ends itself when it wants to. Undone by `start`.
    WriteProtect,
}

impl Action {
    /// All, in the order of their names in messages.
    pub const ALL: [Action; 27] = [
        Action::Stop,
        Action::Continue,
        Action::Kill,
        Action::Terminate,
        Action::PowerCut,
        Action::Start,
        Action::Elect,
        Action::Isolate,
        Action::IsolateFully,
        Action::Reconnect,
        Action::Delay,
        Action::Hold,
        Action::Discard,
        Action::Refuse,
        Action::Withhold,
        Action::Acknowledge,
        Action::Duplicate,
        Action::Swap,
        Action::Truncate,
        Action::Reset,
        Action::Pass,
        Action::Reassign,
        Action::SetMinIsr,
        Action::Restore,
        Action::Delete,
        Action::FillDisk,
        Action::WriteProtect,
    ];

    /// As profiles write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Stop => "stop",
            Action::Continue => "continue",
            Action::Kill => "kill",
            Action::Terminate => "terminate",
            Action::PowerCut => "power-cut",
            Action::Start => "start",
            Action::Elect => "elect",
            Action::Isolate => "isolate",
            Action::IsolateFully => "isolate-fully",
            Action::Reconnect => "reconnect",
            Action::Delay => "delay",
            Action::Hold => "hold",
            Action::Discard => "discard",
            Action::Refuse => "refuse",
            Action::Withhold => "withhold",
            Action::Acknowledge => "acknowledge",
            Action::Duplicate => "duplicate",
            Action::Swap => "swap",
            Action::Truncate => "truncate",
            Action::Reset => "reset",
            Action::Pass => "pass",
            Action::Reassign => "reassign",
            Action::SetMinIsr => "set-min-isr",
            Action::Restore => "restore",
            Action::Delete => "delete",
            Action::FillDisk => "fill-disk",
            Action::WriteProtect => "write-protect",
        }
    }

    /// The process ends.
    pub fn ends(self) -> bool {
        matches!(self, Action::Kill | Action::Terminate | Action::PowerCut) || self.is_at_disk()
    }

    /// It is done to the disk of a broker, which then ends itself.
    pub fn is_at_disk(self) -> bool {
        matches!(self, Action::FillDisk | Action::WriteProtect)
    }

    /// It cuts a broker off from its peers and the controller.
    pub fn isolates(self) -> bool {
        matches!(self, Action::Isolate | Action::IsolateFully)
    }

    /// What undoes it; `None`: nothing does, because it is an undo itself, or over at once.
    pub fn undo(self) -> Option<Action> {
        match self {
            Action::Stop => Some(Action::Continue),
            action if action.isolates() => Some(Action::Reconnect),
            action if action.ends() => Some(Action::Start),
            Action::Reassign | Action::SetMinIsr => Some(Action::Restore),
            _ => self.has_rule().then_some(Action::Pass),
        }
    }

    /// It undoes another one.
    pub fn is_undo(self) -> bool {
        use Action::{Continue, Pass, Reconnect, Restore, Start};
        matches!(self, Continue | Start | Reconnect | Pass | Restore)
    }

    /// It is done to the cell's topic by its administration, and to no process.
    pub fn is_of_topic(self) -> bool {
        use Action::{Delete, Reassign, Restore, SetMinIsr};
        matches!(self, Reassign | SetMinIsr | Restore | Delete)
    }
}
