//! The table of expectations: producer settings against faults. Data; what an entry means for a cell is said in `mod.rs`.
//!
//! It is for three replicas, `min.insync.replicas` = 2 and no unclean election unless the column is about one.

use crate::settings::{Acks, ProducerSettings};
use crate::verdict::TallyKind::{self, *};

/// Producer settings that are expected to see the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Row {
    /// acks=0.
    Acks0,
    /// acks=1 with retries.
    Acks1,
    /// acks=1 without.
    Acks1Once,
    /// acks=all with retries, not idempotent.
    All,
    /// acks=all without retries.
    AllOnce,
    /// Idempotent.
    Idempotent,
    /// In transactions.
    Transactional,
}

impl Row {
    /// The row of these settings.
    pub fn of(producer: &ProducerSettings) -> Row {
        match (producer.acks, producer.retries) {
            _ if producer.transaction.is_some() => Row::Transactional,
            _ if producer.idempotence => Row::Idempotent,
            (Acks::Zero, _) => Row::Acks0,
            (Acks::One, 0) => Row::Acks1Once,
            (Acks::One, _) => Row::Acks1,
            (Acks::All, 0) => Row::AllOnce,
            (Acks::All, _) => Row::All,
        }
    }

    /// What an absent record that had a claim is counted as.
    pub fn loss(self) -> TallyKind {
        if self == Row::Acks0 { Acks0Drop } else { LogLoss }
    }
}

/// Faults that are expected to do the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// A leader dies; a power cut of one broker is the same for the others.
    LeaderKilled,
    /// Both followers stand still, then the leader dies.
    FollowersStoppedLeaderKilled,
    /// A leader stands still for longer than its session.
    LeaderStopped,
    /// Brokers end and start again in good order, one after the other.
    RollingRestart,
    /// A replica that was not in sync leads.
    UncleanElection,
    /// Both followers stand still, the leader lives.
    FollowersStopped,
    /// All brokers lose what they had not flushed.
    PowerCutAll,
    /// The leader appends, and its answers are lost with the connections.
    ResponseLost,
    /// Replicas move to other brokers, the leader's perhaps.
    Reassigned,
}

impl Column {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Column::LeaderKilled => "leader killed",
            Column::FollowersStoppedLeaderKilled => "followers stopped, then leader killed",
            Column::LeaderStopped => "leader stopped past its session",
            Column::RollingRestart => "rolling restart",
            Column::UncleanElection => "unclean election",
            Column::FollowersStopped => "followers stopped",
            Column::PowerCutAll => "power cut of all",
            Column::ResponseLost => "response lost",
            Column::Reassigned => "replicas reassigned",
        }
    }
}

/// What may be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Its tally.
    pub kind: TallyKind,
    /// Seen for certain where the fault is the recipe for it ("!").
    pub certain: bool,
}

const fn may(kind: TallyKind) -> Mark {
    Mark { kind, certain: false }
}

const fn must(kind: TallyKind) -> Mark {
    Mark { kind, certain: true }
}

const DROP: Mark = may(Acks0Drop);
const DROP_CERTAIN: Mark = must(Acks0Drop);
const L: Mark = may(LogLoss);
const L_CERTAIN: Mark = must(LogLoss);
const D: Mark = may(DuplicateSameAttempt);
const D_CERTAIN: Mark = must(DuplicateSameAttempt);
const O: Mark = may(Reorder);
const ABSENT: Mark = may(UnknownAbsent);
const PRESENT: Mark = may(UnknownPresent);
const TORN: Mark = may(TornTransaction);

/// What a producer may see under a fault; nothing: none of loss, duplicate, reordering and torn transaction.
pub fn entry(row: Row, column: Column) -> &'static [Mark] {
    use Column::*;
    match row {
        Row::Acks0 => match column {
            LeaderKilled | LeaderStopped | RollingRestart | Reassigned => &[DROP],
            FollowersStoppedLeaderKilled | UncleanElection | PowerCutAll => &[DROP_CERTAIN],
            FollowersStopped | ResponseLost => &[],
        },
        Row::Acks1 => match column {
            LeaderKilled => &[L, D, O],
            FollowersStoppedLeaderKilled | UncleanElection => &[L_CERTAIN],
            LeaderStopped => &[L, O],
            // A request that the old leader refuses is sent again behind the next one (seen: 17 of 66,000 records).
            RollingRestart | Reassigned => &[L, D, O],
            FollowersStopped => &[],
            PowerCutAll => &[L_CERTAIN, D, O],
            ResponseLost => &[D_CERTAIN, O],
        },
        Row::Acks1Once => match column {
            LeaderKilled | LeaderStopped => &[L, ABSENT, PRESENT],
            FollowersStoppedLeaderKilled | UncleanElection => &[L_CERTAIN],
            RollingRestart | Reassigned => &[L, D, ABSENT, PRESENT],
            FollowersStopped => &[],
            PowerCutAll => &[L_CERTAIN, ABSENT, PRESENT],
            ResponseLost => &[ABSENT, PRESENT],
        },
        Row::All => match column {
            LeaderKilled | LeaderStopped | RollingRestart | Reassigned => &[D, O],
            FollowersStoppedLeaderKilled => &[D],
            UncleanElection => &[L_CERTAIN],
            FollowersStopped => &[D_CERTAIN],
            PowerCutAll => &[L_CERTAIN, D, O],
            ResponseLost => &[D_CERTAIN, O],
        },
        Row::AllOnce => match column {
            LeaderKilled | RollingRestart | FollowersStopped | Reassigned => &[D, ABSENT, PRESENT],
            FollowersStoppedLeaderKilled | LeaderStopped => &[ABSENT, PRESENT],
            UncleanElection => &[L_CERTAIN],
            PowerCutAll => &[L_CERTAIN, ABSENT, PRESENT],
            ResponseLost => &[ABSENT, PRESENT],
        },
        Row::Idempotent => match column {
            LeaderKilled
            | FollowersStoppedLeaderKilled
            | LeaderStopped
            | RollingRestart
            | FollowersStopped
            | ResponseLost
            | Reassigned => &[],
            UncleanElection => &[L_CERTAIN, ABSENT],
            PowerCutAll => &[L_CERTAIN],
        },
        Row::Transactional => match column {
            LeaderKilled
            | FollowersStoppedLeaderKilled
            | LeaderStopped
            | RollingRestart
            | FollowersStopped
            | ResponseLost
            | Reassigned => &[],
            UncleanElection => &[L, TORN],
            PowerCutAll => &[L_CERTAIN, TORN],
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{TransactionSettings, TransactionSpan};
    use crate::verdict::history;

    #[test]
    fn the_strongest_promise_of_a_producer_is_its_row() {
        let of = |acks, retries, idempotence| {
            let mut producer = history::settings(acks, 1).producer;
            (producer.retries, producer.idempotence) = (retries, idempotence);
            let plain = Row::of(&producer);
            let span = TransactionSpan::Records(1);
            let settings = TransactionSettings { span, abort_every: 0, abort_flush: true, timeout_ns: 1 };
            producer.transaction = Some(settings);
            (plain, Row::of(&producer))
        };
        for (acks, once, again) in [
            (Acks::Zero, Row::Acks0, Row::Acks0),
            (Acks::One, Row::Acks1Once, Row::Acks1),
            (Acks::All, Row::AllOnce, Row::All),
        ] {
            assert_eq!(
                [of(acks, 0, false), of(acks, 5, false)],
                [once, again].map(|row| (row, Row::Transactional))
            );
        }
        assert_eq!(of(Acks::All, 5, true), (Row::Idempotent, Row::Transactional));
    }
}
