//! Quantities with their units: `"30 s"`, `"1 KiB"`, `"20k/s"`, `"5 %"`; read exactly, written back canonically.
//!
//! Arithmetic is integral throughout: a fraction is accepted only where it comes out whole.

use super::section::Wrong;

const TIMES: [(&str, u64); 6] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("min", 60_000_000_000),
    ("h", 3_600_000_000_000),
];
const SIZES: [(&str, u64); 7] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
];
const RATES: [(&str, u64); 3] = [("/s", 1), ("k/s", 1_000), ("M/s", 1_000_000)];

/// Splits `"1.5 MiB"` into number and unit.
fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_').unwrap_or(text.len());
    (&text[..end], text[end..].trim_start())
}

/// `number` times `factor`, if the number is well formed and the product is whole and fits.
fn scale(number: &str, factor: u64) -> Option<u64> {
    let number = number.replace('_', "");
    let (whole, fraction) = number.split_once('.').unwrap_or((&number, ""));
    let digits = format!("{whole}{fraction}");
    if whole.is_empty() || (number.contains('.') && fraction.is_empty()) || fraction.len() > 18 {
        return None;
    }
    let product = digits.parse::<u128>().ok()?.checked_mul(u128::from(factor))?;
    let divisor = 10u128.pow(u32::try_from(fraction.len()).ok()?);
    (product % divisor == 0).then(|| u64::try_from(product / divisor).ok()).flatten()
}

fn quantity(text: &str, what: &str, units: &[(&str, u64)], example: &str) -> Result<u64, Wrong> {
    let (number, unit) = split(text);
    if number.is_empty() {
        let message = match unit.strip_prefix('-') {
            Some(rest) if rest.starts_with(|c: char| c.is_ascii_digit()) => {
                format!("\"{text}\" is below zero")
            }
            _ => format!("\"{text}\" does not begin with a number"),
        };
        return Err(Wrong::new(message, format!("write {what} like \"{example}\"")));
    }
    let names = units.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let Some((_, factor)) = units.iter().find(|(name, _)| *name == unit) else {
        let message = if unit.is_empty() {
            format!("\"{text}\" has no unit")
        } else {
            format!("\"{unit}\" is no unit of {what}")
        };
        return Err(Wrong::new(message, format!("write it like \"{example}\"; units: {names}")));
    };
    scale(number, *factor).ok_or_else(|| {
        Wrong::new(
            format!("\"{text}\" is not {what} that can be used"),
            format!("write a number that comes out whole in the smallest unit, like \"{example}\""),
        )
    })
}

/// A duration in nanoseconds.
pub(super) fn duration_ns(text: &str) -> Result<u64, Wrong> {
    quantity(text, "a duration", &TIMES, "30 s")
}

/// A size in bytes.
pub(super) fn size_bytes(text: &str) -> Result<u64, Wrong> {
    quantity(text, "a size", &SIZES, "1 KiB")
}

/// Records per second.
pub(super) fn per_second(text: &str) -> Result<u64, Wrong> {
    quantity(text, "a rate", &RATES, "20k/s")
}

/// A whole number of percent, at most 100.
pub(super) fn percent(text: &str) -> Result<u8, Wrong> {
    let value = quantity(text, "a share", &[("%", 1)], "50 %")?;
    u8::try_from(value).ok().filter(|value| *value <= 100).ok_or_else(|| {
        Wrong::new(format!("{value} % is more than everything"), "write a share from \"0 %\" to \"100 %\"")
    })
}

/// The largest unit (of those given, smallest first) in which the value is whole; else the smallest.
fn canonical(value: u64, units: &[(&str, u64)], gap: &str) -> String {
    let fits = |(_, factor): &&(&str, u64)| value >= *factor && value.is_multiple_of(*factor);
    let (name, factor) = units.iter().rev().find(fits).unwrap_or(&units[0]);
    format!("{}{gap}{name}", value / factor)
}

/// As a profile would write it, e.g. `5 ms`; tenths of seconds stay seconds.
pub fn duration_text(duration_ns: u64) -> String {
    let tenths = duration_ns / 100_000_000;
    match duration_ns {
        0 => "0 s".into(),
        _ if tenths > 10 && !tenths.is_multiple_of(10) && duration_ns.is_multiple_of(100_000_000) => {
            format!("{}.{} s", tenths / 10, tenths % 10)
        }
        _ => canonical(duration_ns, &TIMES, " "),
    }
}

/// As a profile would write it, e.g. `64 KiB`; round decimal sizes stay decimal.
pub fn size_text(size_bytes: u64) -> String {
    let decimal =
        size_bytes >= 1_000 && size_bytes.is_multiple_of(1_000) && !size_bytes.is_multiple_of(1 << 10);
    canonical(size_bytes, if decimal { &DECIMAL } else { &SIZES[..4] }, " ")
}

/// For readers, not for profiles: exact where that is short, else in tenths of the largest decimal unit.
pub fn rough_size(size_bytes: u64) -> String {
    let exact = size_text(size_bytes);
    if exact.len() <= 8 {
        return exact;
    }
    let (name, unit) = DECIMAL.iter().rev().find(|(_, unit)| size_bytes >= *unit).unwrap_or(&SIZES[0]);
    format!("{}.{} {name}", size_bytes / unit, size_bytes % unit * 10 / unit)
}

/// A count with separators: `1,000`.
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 cell`, `2 cells`.
pub fn counted(count: impl Into<u64>, what: &str) -> String {
    let count = count.into();
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

const DECIMAL: [(&str, u64); 3] = [SIZES[4], SIZES[5], SIZES[6]];

/// As a profile would write it, e.g. `20k/s`.
pub fn rate_text(per_second: u64) -> String {
    canonical(per_second, &RATES, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_reads_back_as_the_same_value(value in prop_oneof![0..u64::MAX, 0..100_000u64, (0..9_999u64).prop_map(|n| n * 1_000_000), (0..9_999u64).prop_map(|n| n * 100_000_000)]) {
            prop_assert_eq!(duration_ns(&duration_text(value)).ok(), Some(value));
            prop_assert_eq!(size_bytes(&size_text(value)).ok(), Some(value));
            prop_assert_eq!(per_second(&rate_text(value)).ok(), Some(value));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,24}") {
            let _ = (duration_ns(&text), size_bytes(&text), per_second(&text), percent(&text));
        }
    }

    #[test]
    fn fractions_count_where_they_come_out_whole() {
        assert_eq!(duration_ns("1.5 s").ok(), Some(1_500_000_000));
        assert_eq!(size_bytes("0.5KiB").ok(), Some(512));
        assert_eq!(per_second("1.5M/s").ok(), Some(1_500_000));
        assert!(per_second("1.5/s").is_err());
        assert!(duration_ns("0.1 ns").is_err());
    }

    #[test]
    fn rough_sizes_take_the_unit_that_fits() {
        let shown: Vec<String> =
            [0, 999, 1_024, 8_392, 51_170_123, 1_719_090_000, 100_000_000_000].map(rough_size).into();
        assert_eq!(shown, ["0 B", "999 B", "1 KiB", "8392 B", "51.1 MB", "1.7 GB", "100.0 GB"]);
        assert_eq!(rough_size(123_456_789_012), "123.4 GB");
        assert_eq!([counted(1u16, "cell"), counted(2u16, "cell")], ["1 cell", "2 cells"]);
    }

    #[test]
    fn a_missing_or_foreign_unit_is_named() {
        assert_eq!(duration_ns("15").unwrap_err().message, "\"15\" has no unit");
        assert_eq!(size_bytes("1 KB").unwrap_err().message, "\"KB\" is no unit of a size");
        assert_eq!(per_second("-5/s").unwrap_err().message, "\"-5/s\" is below zero");
        assert_eq!(per_second("fast").unwrap_err().message, "\"fast\" does not begin with a number");
        assert!(percent("101 %").is_err());
        assert!(duration_ns("s").is_err() && duration_ns(". s").is_err() && duration_ns("-1 s").is_err());
    }
}
