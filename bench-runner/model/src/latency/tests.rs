//! Properties of the series, and the stall that every latency tool should be asked about.

use super::*;
use proptest::prelude::*;

#[derive(Debug, Clone, Copy)]
enum Kind {
    Ended,
    Censored,
    Failed,
}

fn values() -> impl Strategy<Value = Vec<(usize, u64, Kind)>> {
    let value =
        prop_oneof![Just(0), 1..5_000_u64, 1_000_000..90_000_000_000_u64, HIGHEST_NS - 5..HIGHEST_NS * 3];
    let kind = prop_oneof![8 => Just(Kind::Ended), 1 => Just(Kind::Censored), 1 => Just(Kind::Failed)];
    proptest::collection::vec((0..6_usize, value, kind), 0..200)
}

fn series_of(seconds: usize, values: &[(usize, u64, Kind)]) -> Series {
    let mut series = Series::new(seconds);
    for &(second, value_ns, kind) in values {
        match kind {
            Kind::Ended => series.record(second, value_ns),
            Kind::Censored => series.censor(second, value_ns),
            Kind::Failed => series.fail(second, value_ns),
        }
    }
    series
}

fn is_near(seen: u64, true_value: u64) -> bool {
    seen.abs_diff(true_value) <= true_value / 1_000 + 1
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn text_round_trips_exactly(publish in values(), end_to_end in values()) {
        let mut set = Set::default();
        set.insert("publish", series_of(3, &publish));
        set.insert("end_to_end", series_of(4, &end_to_end));
        let text = set.to_text();
        let back = Set::from_text(&text).expect("own text is readable");
        prop_assert_eq!(&back.to_text(), &text);
        prop_assert_eq!(back, set);
    }

    #[test]
    fn merging_is_recording_into_one(one in values(), other in values()) {
        let mut merged = series_of(4, &one);
        merged.merge(&series_of(4, &other));
        let together: Vec<_> = one.iter().chain(&other).copied().collect();
        prop_assert_eq!(merged, series_of(4, &together));
    }

    #[test]
    fn percentiles_agree_with_a_sorted_list(values in values()) {
        let summary = series_of(5, &values).summary(0..6);
        prop_assert_eq!(summary.is_none(), values.is_empty());
        let Some(summary) = summary else { return Ok(()) };
        let sorted = |infinite: fn(Kind) -> bool| {
            let mut list: Vec<u64> =
                values.iter().map(|&(_, value, kind)| if infinite(kind) { u64::MAX } else { value }).collect();
            list.sort_unstable();
            list
        };
        let low = sorted(|kind| matches!(kind, Kind::Failed));
        let high = sorted(|kind| !matches!(kind, Kind::Ended));
        let longest = values.iter().map(|(_, value, _)| *value).max().unwrap_or(0);
        for (name, seen) in &summary.percentiles {
            let share: f64 = name.parse::<f64>().expect("a number") / 100.0;
            let rank = ((values.len() as f64 * share - 1e-9).ceil() as usize).max(1);
            match seen {
                Percentile::TooFew => prop_assert!(values.len() < rank + 10),
                Percentile::Exactly(ns) if low[rank - 1] <= HIGHEST_NS / 2 => prop_assert!(is_near(*ns, low[rank - 1])),
                // Beyond the last bucket only the maximum is exact.
                Percentile::Exactly(ns) => prop_assert!(*ns >= low[rank - 1] / 1_001 * 1_000 && *ns <= longest),
                Percentile::AtLeast(ns) => {
                    prop_assert!(high[rank - 1] == u64::MAX || !is_near(high[rank - 1], low[rank - 1]));
                    prop_assert!(*ns <= low[rank - 1].min(longest));
                }
            }
        }
    }
}

#[test]
fn later_seconds_go_to_the_overflow_second_and_longer_series_keep_them_apart() {
    let mut short = series_of(1, &[(0, 5, Kind::Ended), (7, 9, Kind::Ended)]);
    assert_eq!(short.second_ns(1), Some([9, 9, 9]));
    short.merge(&series_of(3, &[(1, 20, Kind::Ended), (99, 30, Kind::Ended)]));
    assert_eq!(short.seconds(), 3);
    assert_eq!(short.second_ns(1), Some([20, 20, 20]));
    assert_eq!(short.second_ns(3), Some([9, 30, 30]));
}

#[test]
fn a_text_whose_figures_contradict_its_histograms_is_refused() {
    let mut set = Set::default();
    set.insert("publish", series_of(1, &[(0, 5, Kind::Ended)]));
    let text = set.to_text();
    let forged = text.replace("exact publish 0 1 ", "exact publish 0 2 ");
    assert_ne!(text, forged);
    assert!(matches!(
        Set::from_text(&forged),
        Err(TextError::Contradiction { exact: 2, in_histogram: 1, .. })
    ));
    assert!(matches!(Set::from_text(&text.replace("1.0 (", "2.0 (")), Err(TextError::Headline(_))));
}

#[test]
fn failures_make_the_tail_a_bound_even_when_nothing_else_is_slow() {
    let mut series = Series::new(1);
    (0..960).for_each(|_| series.record(0, 1_000_000));
    (0..40).for_each(|_| series.fail(0, 3_000));
    let summary = series.summary(0..1).expect("values");
    assert!(matches!(summary.percentiles["90"], Percentile::Exactly(ns) if is_near(ns, 1_000_000)));
    assert_eq!(summary.percentiles["99"], Percentile::AtLeast(1_000_000));
    assert_eq!((summary.count, summary.censored, summary.failed), (1_000, 40, 40));
}

/// Rate r, run T, stall s from second 5 on, drain rate D: what is due in the stall waits for its end and its turn.
fn stalled(per_second: u64, drain_per_second: Option<u64>) -> Series {
    const SECOND_NS: u64 = 1_000_000_000;
    const SECONDS: u64 = 20;
    let (stall_ns, resume_ns) = (5 * SECOND_NS, 7 * SECOND_NS);
    let mut series = Series::new(SECONDS as usize);
    let mut free_ns = resume_ns;
    for k in 0..SECONDS * per_second {
        let due_ns = k * SECOND_NS / per_second;
        let done_ns = if due_ns < stall_ns {
            due_ns
        } else {
            let begin_ns = due_ns.max(free_ns);
            free_ns = begin_ns + drain_per_second.map_or(0, |drain| SECOND_NS / drain);
            begin_ns
        };
        series.record((due_ns / SECOND_NS) as usize, done_ns - due_ns);
    }
    series
}

#[test]
fn a_stall_is_reported_as_arithmetic_says() {
    let per_second = 5_000;
    for (drain, x_99_ms, x_99_9_ms) in [(None, 1_800.0, 1_980.0), (Some(3 * per_second), 1_866.7, 1_986.7)] {
        let summary = stalled(per_second, drain).summary(0..20).expect("values");
        for (name, expected_ms) in [("99", x_99_ms), ("99.9", x_99_9_ms)] {
            let Percentile::Exactly(ns) = summary.percentiles[name] else {
                panic!("p{name} is no bound here")
            };
            let ms = ns as f64 / 1e6;
            assert!(
                (ms - expected_ms).abs() < 2.5,
                "p{name}: {ms} instead of {expected_ms}, drain {drain:?}"
            );
        }
        assert_eq!(summary.max_ns, 2_000_000_000);
    }
}

#[test]
fn the_curve_rises_and_ends_where_ten_samples_are_left() {
    let curve = stalled(5_000, None).curve(0..20);
    assert!(curve.windows(2).all(|pair| pair[0].value_ns <= pair[1].value_ns));
    let last = curve.last().expect("points").nines;
    assert!(
        (3.9..=4.0).contains(&last),
        "100,000 values: ten are left beyond p99.99, the curve ends at {last}"
    );
}

#[test]
fn a_stocked_series_holds_what_any_other_holds_and_makes_no_counters_while_the_stock_lasts() {
    let (mut stocked, mut plain) = (Series::stocked(2), Series::new(2));
    for (index, second) in [0, 0, 1, 7].into_iter().enumerate() {
        stocked.record(second, 5);
        plain.record(second, 5);
        assert_eq!(stocked.stock.len(), [2, 2, 1, 0][index]);
    }
    assert_eq!(stocked.bins, plain.bins);
    assert_eq!(
        Series::stocked(100_000).stock.len(),
        STOCK,
        "an hour must not take gigabytes before it begins"
    );
}
