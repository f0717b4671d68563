//! The only door to rdkafka: nothing outside this room names the client library.

pub mod lane;
pub mod reader;
mod group;
pub mod member;
pub mod admin;
pub mod fence;
pub mod mock;
pub mod probe;
pub mod offline;
pub mod offsets;
pub mod properties;
pub mod transactor;
mod wake;

use rdkafka::bindings as rd;
use std::collections::BTreeMap;
use std::ffi::CStr;
use thiserror::Error;

/// What the client library said.
#[derive(Debug, Error)]
#[error("{act}: {cause}")]
pub struct KafkaError {
    /// What was being done.
    pub act: String,
    /// The client's words.
    pub cause: String,
}

impl KafkaError {
    fn new(act: impl Into<String>, cause: impl ToString) -> Self {
        KafkaError { act: act.into(), cause: cause.to_string() }
    }
}

/// Name and version of the client library, e.g. `librdkafka 2.12.1`.
pub fn client_version() -> String {
    format!("librdkafka {}", rdkafka::util::get_rdkafka_version().1)
}

fn client_config(properties: &BTreeMap<String, String>) -> rdkafka::ClientConfig {
    let mut config = rdkafka::ClientConfig::new();
    for (key, value) in properties {
        config.set(key, value);
    }
    config
}

/// Topic-level properties of a producer, which the dump of a client leaves out.
const TOPIC_LEVEL: [&CStr; 5] =
    [c"acks", c"request.timeout.ms", c"message.timeout.ms", c"compression.codec", c"compression.level"];

/// The settings that a live client really uses, so that a result never rests on a default that nobody wrote down.
///
/// # Safety
/// `client` is a live client handle.
unsafe fn effective(client: *mut rd::rd_kafka_t) -> BTreeMap<String, String> {
    let mut settings = BTreeMap::new();
    let mut count = 0_usize;
    // SAFETY: the configuration lives as long as the client; the dump is ours until freed below and holds `count`
    // strings, key and value in turn; `conf_get` writes at most `size` bytes and a terminating zero.
    unsafe {
        let configuration = rd::rd_kafka_conf(client);
        let dump = rd::rd_kafka_conf_dump(configuration.cast_mut(), &raw mut count);
        for pair in std::slice::from_raw_parts(dump, count).chunks_exact(2) {
            let key = CStr::from_ptr(pair[0]).to_string_lossy().into_owned();
            if !key.ends_with("_cb") && key != "opaque" {
                settings.insert(key, CStr::from_ptr(pair[1]).to_string_lossy().into_owned());
            }
        }
        rd::rd_kafka_conf_dump_free(dump, count);
        for key in TOPIC_LEVEL {
            let mut value = [0_u8; 128];
            let mut size = value.len();
            let answer =
                rd::rd_kafka_conf_get(configuration, key.as_ptr(), value.as_mut_ptr().cast(), &raw mut size);
            if answer == rd::rd_kafka_conf_res_t::RD_KAFKA_CONF_OK
                && let Ok(text) = CStr::from_bytes_until_nul(&value)
            {
                settings.insert(key.to_string_lossy().into_owned(), text.to_string_lossy().into_owned());
            }
        }
    }
    settings
}

/// An error that names the first property which the client does not use as it was asked to.
fn as_asked(
    properties: &BTreeMap<String, String>,
    settings: &BTreeMap<String, String>,
) -> Result<(), KafkaError> {
    match properties::difference(properties, settings) {
        Some(difference) => Err(KafkaError::new("the client does not use what it was asked for", difference)),
        None => Ok(()),
    }
}
