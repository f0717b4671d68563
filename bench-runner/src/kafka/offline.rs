//! What librdkafka says of its own properties, without a cluster: no client is made, no thread is started.

use bench_model::profile::{Client, ClientRefusal};
use rdkafka::bindings as rd;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaConfRes;
use std::ffi::CStr;
use std::os::raw::c_char;

/// librdkafka, asked through empty configurations.
#[derive(Debug)]
pub struct Offline;

impl Client for Offline {
    fn refusal(&self, name: &str, value: &str) -> Option<ClientRefusal> {
        let mut config = rdkafka::ClientConfig::new();
        config.set(name, value);
        match config.create_native_config().err()? {
            KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, ..) => Some(ClientRefusal::Name),
            // The words come in a buffer of fixed size, with what is left of it.
            KafkaError::ClientConfig(_, words, ..) => {
                Some(ClientRefusal::Value(words.trim_end_matches('\0').trim().to_owned()))
            }
            other => Some(ClientRefusal::Value(other.to_string())),
        }
    }

    fn names(&self) -> Vec<String> {
        let (mut global, mut topic) = (0_usize, 0_usize);
        // SAFETY: both configurations are ours and destroyed after their dumps were copied; a dump holds as many
        // strings as it says.
        unsafe {
            let configuration = rd::rd_kafka_conf_new();
            let mut names = copied(rd::rd_kafka_conf_dump(configuration, &raw mut global), global);
            rd::rd_kafka_conf_destroy(configuration);
            let configuration = rd::rd_kafka_topic_conf_new();
            names.extend(copied(rd::rd_kafka_topic_conf_dump(configuration, &raw mut topic), topic));
            rd::rd_kafka_topic_conf_destroy(configuration);
            names
        }
    }
}

/// The names of a dump of names and values in turn, which is freed.
///
/// # Safety
/// `dump` comes from librdkafka with this `count`.
unsafe fn copied(dump: *mut *const c_char, count: usize) -> Vec<String> {
    // SAFETY: the caller's promise; the strings end in zero and live until the dump is freed, once, here.
    unsafe {
        let pairs = std::slice::from_raw_parts(dump, count).chunks_exact(2);
        let names = pairs.map(|pair| CStr::from_ptr(pair[0]).to_string_lossy().into_owned()).collect();
        rd::rd_kafka_conf_dump_free(dump, count);
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_knows_its_names_and_ranges() {
        assert_eq!(Offline.refusal("socket.timeout.ms", "1000"), None);
        let refusal = Offline.refusal("socket.timeout.ms", "1");
        let words =
            "Configuration property \"socket.timeout.ms\" value 1 is outside allowed range 10..300000";
        assert_eq!(refusal, Some(ClientRefusal::Value(words.into())));
        assert_eq!(Offline.refusal("no.such.thing", "1"), Some(ClientRefusal::Name));
        let names = Offline.names();
        // One of the client's own level and one of the topics'.
        assert!(
            ["socket.timeout.ms", "message.timeout.ms"].iter().all(|name| names.iter().any(|n| n == name))
        );
    }
}
