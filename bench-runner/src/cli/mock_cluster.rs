//! `mock-cluster`: the hidden verb behind the mock provider; a process of its own, as a cluster is.

use super::exit::{Exit, Failure};
use crate::kafka::mock::Mock;
use std::io::Read;

/// Arguments of `mock-cluster`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Number of brokers
    #[arg(long, default_value_t = 3)]
    brokers: u16,
}

/// Prints the bootstrap servers and lives until standard input ends.
pub fn mock_cluster(args: Args) -> Result<Exit, Failure> {
    let mock =
        Mock::start(args.brokers).map_err(|error| Failure::new(Exit::Failure, miette::miette!("{error}")))?;
    println!("{}", mock.bootstrap());
    // However standard input ends, this process has nothing left to do.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    Ok(Exit::Ok)
}
