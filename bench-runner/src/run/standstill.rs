//! A producer that stands still inside of a transaction: its next life takes its transactional id meanwhile, or it is continued
//! when its time is over. What it finds then is for its own closing statement to say.

use super::lives::{Life, Lives};
use crate::clock;
use crate::supervisor::{Crew, Signal};
use bench_model::fault::{Death, DeathRecord, End, Victim};
use bench_model::ids::MemberId;

/// Whether a producer stands still in this cell, or will.
#[derive(Debug, Default)]
pub struct Standstill {
    planned: bool,
}

/// What is next for a life that is to stand still.
enum Next {
    Nothing,
    Seen(DeathRecord),
    Taken,
    Continue,
}

impl Standstill {
    /// What the plan says.
    pub fn new(deaths: &[Death]) -> Self {
        let stops = |death: &Death| (death.worker, death.end) == (Victim::Producer, End::Stop);
        Standstill { planned: deaths.iter().any(stops) }
    }

    /// Something happens here that no event tells of.
    pub fn is_watching(&self) -> bool {
        self.planned
    }

    /// Sees who stands still, lets the next life begin, and continues who is due.
    pub fn attend(&mut self, crew: &Crew, lives: &mut Lives, t0_ns: u64) {
        if !self.planned {
            return;
        }
        self.planned = !lives.all_ended(Victim::Producer);
        let now_ns = clock::now_ns().saturating_sub(t0_ns);
        let stops = |life: &&Life| life.death.is_some_and(|death| death.end == End::Stop);
        let workers: Vec<usize> = lives.of(Victim::Producer).filter(stops).map(|life| life.worker).collect();
        for worker in workers {
            match next(crew, lives, worker, now_ns) {
                Next::Nothing => {}
                Next::Seen(record) => {
                    let is_succeeded = record.death.continue_after_ns.is_none();
                    lives.deaths.push(record);
                    if is_succeeded {
                        lives.succeed(worker);
                    }
                }
                Next::Taken => note(lives, worker, |record| record.taken_ns = Some(now_ns)),
                Next::Continue => {
                    // The instant before, so that whatever it does then is later.
                    let at_ns = clock::now_ns().saturating_sub(t0_ns);
                    if crew.signal(worker, Signal::Continue) {
                        note(lives, worker, |record| record.continued_ns = Some(at_ns));
                    }
                }
            }
        }
    }
}

fn is_of(record: &DeathRecord, life: &Life) -> bool {
    record.death.worker == Victim::Producer
        && (record.member.0, record.incarnation) == (life.number, life.incarnation)
}

fn note(lives: &mut Lives, worker: usize, change: impl FnOnce(&mut DeathRecord)) {
    let Some(life) = lives.all.iter().find(|life| life.worker == worker) else { return };
    if let Some(record) = lives.deaths.iter_mut().find(|record| is_of(record, life)) {
        change(record);
    }
}

fn next(crew: &Crew, lives: &Lives, worker: usize, now_ns: u64) -> Next {
    let Some(life) = lives.all.iter().find(|life| life.worker == worker && !life.ended) else {
        return Next::Nothing;
    };
    let Some(death) = life.death else { return Next::Nothing };
    let Some(record) = lives.deaths.iter().find(|record| is_of(record, life)) else {
        let record = DeathRecord {
            death,
            member: MemberId(life.number),
            incarnation: life.incarnation,
            seen_ns: now_ns,
            exit: "state T (stopped)".to_owned(),
            as_planned: true,
            marks: None,
            continued_ns: None,
            taken_ns: None,
            transaction_errors: Default::default(),
        };
        return if crew.is_stopped(worker) { Next::Seen(record) } else { Next::Nothing };
    };
    let is_due = match death.continue_after_ns {
        Some(after_ns) => now_ns >= record.seen_ns + after_ns,
        None => record.taken_ns.is_some(),
    };
    if record.continued_ns.is_some() {
        Next::Nothing
    } else if is_due {
        Next::Continue
    } else if death.continue_after_ns.is_none() && lives.has_begun_after(life) {
        Next::Taken
    } else {
        Next::Nothing
    }
}
