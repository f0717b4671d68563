//! Numbers as people read them. Rounds for print only; nothing here decides anything.

use bench_model::profile::grouped;

/// Nanoseconds with three digits and a unit.
pub fn duration(ns: f64) -> String {
    let (divisor, unit) = match ns {
        ns if ns >= 999.5e6 => (1e9, "s"),
        ns if ns >= 999.5e3 => (1e6, "ms"),
        ns if ns >= 999.5 => (1e3, "µs"),
        _ => (1.0, "ns"),
    };
    format!("{} {unit}", three_digits(ns / divisor))
}

/// Three digits that count, without an exponent.
pub fn three_digits(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        size if size >= 99.95 => grouped(value.round() as u64),
        size if size >= 9.995 => format!("{value:.1}"),
        size if size >= 0.9995 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// The 95 % bound for nothing seen in `of` independent trials, per million.
pub fn zero_bound_per_million(of: u64) -> Option<f64> {
    (of > 0).then(|| (3.0 / of as f64).min(1.0) * 1e6)
}

/// `k of n`; nothing seen is a bound at 95 %, never a zero share.
pub fn share(count: u64, of: u64) -> String {
    let bound = if count == 0 { zero_bound_note(of) } else { String::new() };
    format!("{} of {}{bound}", grouped(count), grouped(of))
}

/// ` (< 53.0 ppm)`: what nothing seen in `of` independent trials is worth; empty without a trial.
pub fn zero_bound_note(of: u64) -> String {
    zero_bound_per_million(of).map_or(String::new(), |bound| format!(" (< {} ppm)", three_digits(bound)))
}

/// ` (< 30.0 %)`: what nothing seen in `of` faults is worth, each being one trial; empty where that is nothing.
pub fn zero_trials_note(of: u64) -> String {
    if of > 3 { format!(" (< {} %)", three_digits(300.0 / of as f64)) } else { String::new() }
}

/// Bytes with a binary unit.
pub fn bytes(bytes: f64) -> String {
    if bytes < 10_000.0 {
        return format!("{} B", three_digits(bytes));
    }
    let (divisor, unit) = if bytes < 10_000.0 * 1024.0 {
        (1024.0, "KiB")
    } else if bytes < 10_000.0 * 1_048_576.0 {
        (1_048_576.0, "MiB")
    } else {
        (1_073_741_824.0, "GiB")
    };
    format!("{} {unit}", three_digits(bytes / divisor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_change_their_unit_without_a_fourth_digit() {
        let seen: Vec<String> = [0.0, 999.0, 999.6, 1_234.0, 99_960.0, 999_600.0, 1_999_999_999.0, 1e12]
            .into_iter()
            .map(duration)
            .collect();
        assert_eq!(seen, ["0 ns", "999 ns", "1.00 µs", "1.23 µs", "100 µs", "1.00 ms", "2.00 s", "1,000 s"]);
    }

    #[test]
    fn nothing_seen_is_a_bound() {
        assert_eq!(share(0, 3_000), "0 of 3,000 (< 1,000 ppm)");
        assert_eq!(share(0, 2), "0 of 2 (< 1,000,000 ppm)");
        assert_eq!(share(0, 0), "0 of 0");
        assert_eq!(share(1_000, 3_010), "1,000 of 3,010");
    }
}
