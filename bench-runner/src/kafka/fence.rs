//! Takes a transactional id for a moment, which ends whatever transaction its last owner has left open.

use super::{KafkaError, client_config};
use rdkafka::producer::{BaseProducer, Producer};
use std::collections::BTreeMap;
use std::time::Duration;

/// Fences the last owner of the transactional id in these producer properties; its open transaction is aborted, unless its
/// commit has reached the coordinator before. Blocks.
pub fn fence(properties: &BTreeMap<String, String>, limit: Duration) -> Result<(), KafkaError> {
    const ACT: &str = "could not take over a transactional id";
    let producer: BaseProducer =
        client_config(properties).create().map_err(|error| KafkaError::new(ACT, error))?;
    producer.init_transactions(limit).map_err(|error| KafkaError::new(ACT, error))
}
