//! A keyed hash of record identities whose sum does not depend on order (identity I10). Not for adversaries.

use crate::ids::{BookKey, PartitionId, ProducerId};

#[inline]
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// The sum modulo 2^128 over the records `start..end` of one producer and partition.
pub(super) fn of_records(key: BookKey, lane: (ProducerId, PartitionId), start: u64, end: u64) -> u128 {
    let lane = u64::from(key.0) << 32 | u64::from(lane.0.0) << 16 | u64::from(lane.1.0);
    let (a, b) = (mix(lane), mix(!lane));
    let mut sum = 0_u128;
    for sequence in start..end {
        let high = mix(sequence.wrapping_add(a));
        let low = mix(sequence ^ b);
        sum = sum.wrapping_add(u128::from(high) << 64 | u128::from(low));
    }
    sum
}
