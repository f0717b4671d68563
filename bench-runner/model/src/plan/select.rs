//! `--only`: a pattern picks cells by id or label.

use super::{Cell, PlanError};

/// Keeps the cells that match any pattern (all, if there is none); a pattern that matches nothing is an error.
pub(super) fn select(profiles: Vec<Vec<Cell>>, only: &[String]) -> Result<Vec<Vec<Cell>>, PlanError> {
    let hit = |cell: &Cell, pattern: &str| matches(pattern, &cell.id) || matches(pattern, &cell.label);
    let all = || profiles.iter().flatten();
    if let Some(pattern) = only.iter().find(|pattern| !all().any(|cell| hit(cell, pattern))) {
        let ids: Vec<String> = all().map(|cell| format!("{}  ({})", cell.id, cell.label)).collect();
        return Err(PlanError::Unmatched { pattern: pattern.clone(), ids: ids.join("\n") });
    }
    let keeps = |cell: &Cell| only.is_empty() || only.iter().any(|pattern| hit(cell, pattern));
    Ok(profiles.iter().map(|cells| cells.iter().filter(|cell| keeps(cell)).cloned().collect()).collect())
}

/// With `*`: the whole text, `*` standing for any run of characters; without: anywhere in the text.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return text.contains(pattern) };
    let (Some(mut text), middle) = (text.strip_prefix(head), rest.rsplit_once('*')) else { return false };
    let (middle, tail) = middle.unwrap_or(("", rest));
    for part in middle.split('*') {
        match text.find(part) {
            Some(at) => text = &text[at + part.len()..],
            None => return false,
        }
    }
    text.ends_with(tail)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_stands_for_anything_and_anchors_the_rest() {
        assert!(matches("q.acks-1.*", "q.acks-1.r0"));
        assert!(!matches("q.acks-1.*", "q.acks-1-retries-0.r0"));
        assert!(matches("*retries*r0", "q.acks-1-retries-0.r0"));
        assert!(matches("*", ""));
        assert!(!matches("a*a", "a"));
        assert!(!matches("*b*c", "acb"));
    }

    #[test]
    fn without_a_star_a_part_is_enough() {
        assert!(matches("retries", "acks=1, retries=0"));
        assert!(!matches("retires", "acks=1, retries=0"));
    }
}
