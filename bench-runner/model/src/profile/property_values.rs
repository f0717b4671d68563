//! What values Kafka takes for a property of brokers and topics, by its own definitions.
//!
//! A line of a list is `name kind [allowed]`: the kind is Kafka's (`text` stands for all that is not checked further), and
//! what is allowed are alternatives with `|` between them, each a range `1..17`, `0..` or a single value.

/// What is wrong with a value, and what Kafka would take.
pub(super) fn refusal(list: &str, name: &str, value: &str) -> Option<(String, String)> {
    let line = list.lines().find(|line| line.split(' ').next() == Some(name))?;
    let mut words = line.split(' ').skip(1);
    let (kind, allowed) = (words.next()?, words.next());
    let alternatives = || allowed.into_iter().flat_map(|allowed| allowed.split('|'));
    let value = value.trim();
    let wanted = match kind {
        "boolean" if ["true", "false"].iter().any(|word| value.eq_ignore_ascii_case(word)) => return None,
        "boolean" => "true or false".to_owned(),
        "text" if allowed.is_none_or(|_| alternatives().any(|word| word == value)) => return None,
        "text" => format!("one of {}", alternatives().collect::<Vec<_>>().join(", ")),
        _ => {
            let (number, what) = match kind {
                "double" => (value.parse().ok(), "a number"),
                "short" => (value.parse::<i16>().ok().map(f64::from), "a whole number of 16 bits"),
                "int" => (value.parse::<i32>().ok().map(f64::from), "a whole number of 32 bits"),
                // No limit of Kafka's is so large that a float would round it.
                _ => (value.parse::<i64>().ok().map(|number| number as f64), "a whole number of 64 bits"),
            };
            let fits = |number| allowed.is_none() || alternatives().any(|range| holds(range, number));
            if number.is_some_and(fits) {
                return None;
            }
            match allowed {
                Some(_) => {
                    let ranges: Vec<String> = alternatives().map(in_words).collect();
                    format!("{what}, {}", ranges.join(" or "))
                }
                None => what.to_owned(),
            }
        }
    };
    Some((format!("\"{value}\" is no value of {name}"), format!("write {wanted}")))
}

fn holds(range: &str, number: f64) -> bool {
    let parsed = |text: &str| text.parse::<f64>().ok();
    match range.split_once("..") {
        Some((least, most)) => {
            parsed(least).is_none_or(|least| number >= least)
                && parsed(most).is_none_or(|most| number <= most)
        }
        None => parsed(range) == Some(number),
    }
}

fn in_words(range: &str) -> String {
    match range.split_once("..") {
        Some((least, "")) => format!("at least {least}"),
        Some((least, most)) => format!("from {least} to {most}"),
        None => range.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str =
        "a boolean\nb int 1..17|-1\nc text zstd|none\nd text\ne long 0..\nf double 0..0.5\ng int";

    #[test]
    fn values_are_taken_as_kafka_takes_them() {
        let taken = [
            "a=TRUE",
            "b=17",
            "b=-1",
            "c=zstd",
            "d=whatever",
            "e=9223372036854775807",
            "f=0.25",
            "g=-5",
            "x=y",
        ];
        for pair in taken {
            let (name, value) = pair.split_once('=').expect("a pair");
            assert_eq!(refusal(LIST, name, value), None, "{pair}");
        }
    }

    #[test]
    fn other_values_are_refused_with_what_would_be_taken() {
        let help = |name, value| refusal(LIST, name, value).expect("refused").1;
        assert_eq!(help("a", "yes"), "write true or false");
        assert_eq!(help("b", "18"), "write a whole number of 32 bits, from 1 to 17 or -1");
        assert_eq!(help("c", "gzip"), "write one of zstd, none");
        assert_eq!(help("e", "-1"), "write a whole number of 64 bits, at least 0");
        assert_eq!(help("e", "1 KiB"), "write a whole number of 64 bits, at least 0");
        assert_eq!(help("f", "0.6"), "write a number, from 0 to 0.5");
        assert_eq!(help("g", "3000000000"), "write a whole number of 32 bits");
    }

    #[test]
    fn every_line_of_the_lists_is_of_a_known_form() {
        for line in super::super::property_names::LISTS.iter().flat_map(|list| list.lines()) {
            let words: Vec<&str> = line.split(' ').collect();
            assert!((2..=3).contains(&words.len()), "{line}");
            assert!(["boolean", "int", "long", "short", "double", "text"].contains(&words[1]), "{line}");
        }
    }
}
