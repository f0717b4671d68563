//! `mock-cluster`: the hidden verb behind the mock provider; a process of its own, as a cluster is.

use super::exit::{Exit, Failure};
use super::output;
use crate::kafka::KafkaError;
use crate::kafka::mock::{Mock, ProduceError};
use std::io::BufRead;
use std::time::Duration;

/// Arguments of `mock-cluster`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Number of brokers
    #[arg(long, default_value_t = 3)]
    brokers: u16,
    /// Make the trouble named below so long after the start
    #[arg(long, default_value_t = 0)]
    after_ms: u64,
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
        let trouble = scope.spawn(|| make_trouble(args, &mock));
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            output::line(&create_topic(&mock, &line).err().unwrap_or("ok".to_owned()))?;
        }
        // However standard input ends, this process has nothing left to do.
        trouble.join().unwrap_or(Ok(())).map_err(failed)
    })?;
    Ok(Exit::Ok)
}

fn create_topic(mock: &Mock, line: &str) -> Result<(), String> {
    let mut words = line.split(' ');
    let (Some(name), Some(Ok(partitions)), Some(Ok(replicas))) =
        (words.next(), words.next().map(str::parse), words.next().map(str::parse))
    else {
        return Err(format!("not NAME PARTITIONS REPLICATION-FACTOR: {line}"));
    };
    mock.create_topic(name, partitions, replicas).map_err(|error| error.to_string())
}

fn make_trouble(args: &Args, mock: &Mock) -> Result<(), KafkaError> {
    std::thread::sleep(Duration::from_millis(args.after_ms));
    if let Some(error) = args.produce_error {
        mock.refuse_produce(error, args.produce_errors);
    }
    if args.round_trip_ms > 0 {
        let delay = Duration::from_millis(args.round_trip_ms);
        mock.slow_down(args.brokers, delay)?;
        std::thread::sleep(delay);
        mock.slow_down(args.brokers, Duration::ZERO)?;
    }
    Ok(())
}
