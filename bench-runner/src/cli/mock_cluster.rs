//! `mock-cluster`: the hidden verb behind the mock provider; a process of its own, as a cluster is.

use super::exit::{Exit, Failure};
use super::output;
use crate::kafka::KafkaError;
use crate::kafka::mock::{Mock, ProduceError};
use crate::kafka::offsets::Offsets;
use std::io::BufRead;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

/// How often the topics' ends are asked for.
const EVERY: Duration = Duration::from_millis(20);

/// Arguments of `mock-cluster`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Number of brokers
    #[arg(long, default_value_t = 3)]
    brokers: u16,
    /// Make the trouble named below when the topics hold so many records together (an instant would race with the producers)
    #[arg(long)]
    after_records: Option<i64>,
    /// Answer Produce requests with this error
    #[arg(long)]
    produce_error: Option<ProduceError>,
    /// So many of them
    #[arg(long, default_value_t = 1)]
    produce_errors: usize,
    /// Delay answers by so much, for as long
    #[arg(long, default_value_t = 0)]
    round_trip_ms: u64,
}

/// Prints the bootstrap servers, creates a topic for each line `NAME PARTITIONS REPLICATION-FACTOR` on standard input
/// (answering `ok` or the reason), and lives until standard input ends.
pub fn mock_cluster(args: Args) -> Result<Exit, Failure> {
    hold(&args)
}

fn hold(args: &Args) -> Result<Exit, Failure> {
    let failed = |error: KafkaError| Failure::new(Exit::Failure, miette::miette!("{error}"));
    let mock = Mock::start(args.brokers).map_err(failed)?;
    output::line(&mock.bootstrap())?;
    std::thread::scope(|scope| {
        let (made, topics) = mpsc::channel();
        let trouble = scope.spawn(|| make_trouble(args, &mock, topics));
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            let topic = create_topic(&mock, &line);
            output::line(topic.as_ref().err().map_or("ok", String::as_str))?;
            // Nobody receives where no trouble is asked for.
            topic.into_iter().for_each(|topic| drop(made.send(topic)));
        }
        // However standard input ends, this process has nothing left to do.
        drop(made);
        trouble.join().unwrap_or(Ok(())).map_err(failed)
    })?;
    Ok(Exit::Ok)
}

/// Name and number of partitions of the new topic.
fn create_topic(mock: &Mock, line: &str) -> Result<(String, u16), String> {
    let mut words = line.split(' ');
    let (Some(name), Some(Ok(partitions)), Some(Ok(replicas))) =
        (words.next(), words.next().map(str::parse), words.next().map(str::parse))
    else {
        return Err(format!("not NAME PARTITIONS REPLICATION-FACTOR: {line}"));
    };
    mock.create_topic(name, partitions, replicas).map_err(|error| error.to_string())?;
    Ok((name.to_owned(), partitions))
}

fn make_trouble(args: &Args, mock: &Mock, topics: Receiver<(String, u16)>) -> Result<(), KafkaError> {
    let Some(records) = args.after_records else { return Ok(()) };
    if !hold_so_many(mock, topics, records)? {
        return Ok(());
    }
    let delay = Duration::from_millis(args.round_trip_ms);
    // First slow, so that a refused request has others under way behind it.
    mock.slow_down(args.brokers, delay)?;
    if let Some(error) = args.produce_error {
        mock.refuse_produce(error, args.produce_errors);
    }
    std::thread::sleep(delay);
    mock.slow_down(args.brokers, Duration::ZERO)
}

/// Waits until the topics hold so many records; false if no more topics can come before they do.
fn hold_so_many(mock: &Mock, topics: Receiver<(String, u16)>, records: i64) -> Result<bool, KafkaError> {
    let offsets = Offsets::open(&mock.bootstrap())?;
    let mut known: Vec<(String, u16)> = Vec::new();
    loop {
        match topics.recv_timeout(EVERY) {
            Ok(topic) => known.push(topic),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(false),
        }
        let mut held = 0;
        for (topic, partitions) in &known {
            held += offsets.read(topic, *partitions)?.iter().map(|ends| ends.high).sum::<i64>();
        }
        if held >= records {
            return Ok(true);
        }
    }
}
