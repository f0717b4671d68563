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

#[cfg(test)]
mod tests {
    use super::{BookKey, PartitionId, ProducerId, mix, of_records};

    #[test]
    fn mixing_is_that_of_splitmix64() {
        // The first outputs of that generator from the seed 0, as published (https://prng.di.unimi.it/splitmix64.c).
        let outputs = [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4, 0x06c4_5d18_8009_454f];
        for (index, output) in (1..).zip(outputs) {
            assert_eq!(mix(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(index)), output);
        }
    }

    #[test]
    fn the_sum_is_what_another_program_computes() {
        // By the definitions above in arbitrary-precision integers.
        let of = |end| of_records(BookKey(0xfedc_ba98), (ProducerId(3), PartitionId(5)), 7, end);
        assert_eq!(of(7), 0);
        assert_eq!(of(8), 0xa2c5_3f29_4490_5c98_5398_115a_b62e_0170);
        assert_eq!(of(9), 0x0809_0404_22b0_6d0e_871d_6115_4430_332e);
    }
}
