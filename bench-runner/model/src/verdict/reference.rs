//! A slow, obvious model of the verdict, and random histories on which both must agree.

use crate::settings::{Acks, Arrival, CellSettings, Length, Load, ProducerSettings, TopicSettings};

/// A plain cell.
pub(super) fn settings(acks: Acks, partitions: u16) -> CellSettings {
    CellSettings {
        producer: ProducerSettings {
            acks,
            retries: 10,
            idempotence: false,
            linger_ns: 0,
            batch_bytes: 1000,
            compression: "none".into(),
            max_in_flight: 5,
            queue_records: 1000,
            queue_bytes: 1 << 20,
            request_timeout_ns: 1,
            delivery_timeout_ns: 1,
            extra: [].into(),
        },
        topic: TopicSettings { partitions, replication_factor: 3, min_insync_replicas: 2, extra: [].into() },
        load: Load {
            arrival: Arrival::Max,
            record_bytes: 48,
            warmup_ns: 0,
            length: Length::Records(1),
            producers: 1,
            compressible_percent: 0,
            drain_ns: 0,
        },
    }
}
