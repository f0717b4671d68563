//! The thread that waits for the sink, so that the thread that serves the client does not. Knows no client.

use crate::clock;
use crate::sink::{Sink, SinkError, SinkRow};
use bench_model::effects::Held;
use std::collections::VecDeque;
use std::sync::mpsc;
use std::time::Duration;

/// How long a wait for the thread goes on before the client is looked after.
const LOOK_AROUND: Duration = Duration::from_millis(100);

enum Job {
    Take(Vec<u16>),
    Write(Vec<SinkRow>, Vec<Held>),
}

enum Answer {
    Taken(Result<Vec<Held>, SinkError>),
    Written(Written),
}

/// What became of a batch.
#[derive(Debug)]
pub(super) struct Written {
    /// The rows, to be used again.
    pub(super) rows: Vec<SinkRow>,
    /// Partitions of which nothing was written because somebody has taken them over.
    pub(super) refused: Result<Vec<u16>, SinkError>,
    /// When the sink was asked, and when it had everything.
    pub(super) called_ns: u64,
    pub(super) answered_ns: u64,
}

/// The thread's other end.
pub(super) struct Writer {
    jobs: mpsc::Sender<Job>,
    answers: mpsc::Receiver<Answer>,
    /// Heard while something else was waited for.
    heard: VecDeque<Written>,
    writing: bool,
}

fn gone() -> SinkError {
    SinkError::Act { act: "answer", cause: "its thread has ended".into() }
}

impl Writer {
    /// Starts the thread; `wake` is called behind every answer.
    pub(super) fn start(mut sink: Box<dyn Sink>, wake: impl Fn() + Send + 'static) -> Self {
        let (jobs, asked) = mpsc::channel();
        let (said, answers) = mpsc::channel();
        std::thread::spawn(move || {
            for job in asked {
                let answer = match job {
                    Job::Take(partitions) => Answer::Taken(sink.take(&partitions)),
                    Job::Write(rows, marks) => {
                        let called_ns = clock::now_ns();
                        let refused = sink.write(&rows, &marks);
                        let answered_ns = clock::now_ns();
                        Answer::Written(Written { rows, refused, called_ns, answered_ns })
                    }
                };
                if said.send(answer).is_err() {
                    return;
                }
                wake();
            }
        });
        Writer { jobs, answers, heard: VecDeque::new(), writing: false }
    }

    /// A batch is on its way.
    #[inline]
    pub(super) fn is_writing(&self) -> bool {
        self.writing
    }

    /// Hands a batch over; one at a time.
    pub(super) fn write(&mut self, rows: Vec<SinkRow>, marks: Vec<Held>) {
        self.writing = true;
        // A thread that has ended is noticed by the missing answer.
        let _ = self.jobs.send(Job::Write(rows, marks));
    }

    /// What became of the batch on its way; waits a little for it, or returns at once.
    pub(super) fn answer(&mut self, wait: bool) -> Option<Written> {
        if !self.writing {
            return None;
        }
        let written = match self.heard.pop_front() {
            Some(written) => Some(written),
            None => self.hear(wait).and_then(|answer| match answer {
                Answer::Written(written) => Some(written),
                Answer::Taken(_) => None,
            }),
        };
        self.writing &= written.is_none();
        written
    }

    fn hear(&mut self, wait: bool) -> Option<Answer> {
        let ended = || {
            let now_ns = clock::now_ns();
            let (rows, refused) = (Vec::new(), Err(gone()));
            Answer::Written(Written { rows, refused, called_ns: now_ns, answered_ns: now_ns })
        };
        if wait {
            match self.answers.recv_timeout(LOOK_AROUND) {
                Ok(answer) => Some(answer),
                Err(mpsc::RecvTimeoutError::Timeout) => None,
                Err(mpsc::RecvTimeoutError::Disconnected) => Some(ended()),
            }
        } else {
            match self.answers.try_recv() {
                Ok(answer) => Some(answer),
                Err(mpsc::TryRecvError::Empty) => None,
                Err(mpsc::TryRecvError::Disconnected) => Some(ended()),
            }
        }
    }

    /// Takes partitions over, behind the batch on its way; calls `meanwhile` now and then.
    pub(super) fn take(
        &mut self,
        partitions: &[u16],
        mut meanwhile: impl FnMut(),
    ) -> Result<Vec<Held>, SinkError> {
        self.jobs.send(Job::Take(partitions.to_vec())).map_err(|_| gone())?;
        loop {
            match self.answers.recv_timeout(LOOK_AROUND) {
                Ok(Answer::Taken(taken)) => return taken,
                Ok(Answer::Written(written)) => self.heard.push_back(written),
                Err(mpsc::RecvTimeoutError::Timeout) => meanwhile(),
                Err(mpsc::RecvTimeoutError::Disconnected) => return Err(gone()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bench_model::ids::PartitionId;
    use std::collections::BTreeMap;

    /// Writes nothing, slowly.
    struct Slow(BTreeMap<String, String>);

    impl Sink for Slow {
        fn effective(&self) -> &BTreeMap<String, String> {
            &self.0
        }

        fn take(&mut self, partitions: &[u16]) -> Result<Vec<Held>, SinkError> {
            Ok(partitions.iter().map(|at| Held { partition: PartitionId(*at), epoch: 1, next: -1 }).collect())
        }

        fn write(&mut self, _: &[SinkRow], marks: &[Held]) -> Result<Vec<u16>, SinkError> {
            std::thread::sleep(Duration::from_millis(300));
            Ok(marks.iter().map(|mark| mark.partition.0).collect())
        }
    }

    #[test]
    fn a_slow_sink_keeps_nobody_waiting_who_does_not_ask_to() {
        let mut writer = Writer::start(Box::new(Slow(BTreeMap::new())), || {});
        assert!(writer.answer(false).is_none() && !writer.is_writing());
        let began_ns = clock::now_ns();
        writer.write(Vec::new(), vec![Held { partition: PartitionId(3), epoch: 1, next: 9 }]);
        assert!(writer.answer(false).is_none() && writer.is_writing());
        assert!(clock::now_ns() - began_ns < 200_000_000);
        // An assignment waits behind the batch, whose answer is kept.
        let mut looked = 0;
        let taken = writer.take(&[5], || looked += 1).expect("taken");
        assert_eq!((taken[0].partition, looked > 0), (PartitionId(5), true));
        let written = writer.answer(false).expect("kept");
        assert_eq!(written.refused.expect("written"), [3]);
        assert!(written.answered_ns - written.called_ns >= 300_000_000 && !writer.is_writing());
    }
}
