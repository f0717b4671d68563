//! A set of sequences as spans: the hole tracker. Memory grows with holes, not with members.

use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Half-open spans, disjoint and never touching.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spans {
    /// Every span but the highest: start to end.
    lower: BTreeMap<u64, u64>,
    /// The highest span, where nearly everything happens.
    top: Option<(u64, u64)>,
}

/// What became of a part of an insertion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// It was not in the set.
    Fresh,
    /// It was.
    Again,
}

impl Spans {
    /// Adds `start..end` and tells of its parts, in order; none of them is empty.
    #[inline]
    pub fn insert(&mut self, start: u64, end: u64, mut tell: impl FnMut(u64, u64, Part)) {
        if start >= end {
            return;
        }
        // The first span goes on from an empty one.
        let top = self.top.get_or_insert((start, start));
        match start.cmp(&top.1) {
            Ordering::Equal => top.1 = end,
            Ordering::Greater => {
                let (from, to) = std::mem::replace(top, (start, end));
                self.lower.insert(from, to);
            }
            Ordering::Less => return self.insert_within(start, end, tell),
        }
        tell(start, end, Part::Fresh);
    }

    fn insert_within(&mut self, start: u64, end: u64, mut tell: impl FnMut(u64, u64, Part)) {
        self.lower.extend(self.top.take());
        let first =
            self.lower.range(..=start).next_back().filter(|(_, to)| **to >= start).map(|(from, _)| *from);
        let touched: Vec<(u64, u64)> =
            self.lower.range(first.unwrap_or(start)..=end).map(|(from, to)| (*from, *to)).collect();
        let (mut low, mut high, mut at) = (start, end, start);
        for (from, to) in touched {
            let (a, b) = (from.max(start), to.min(end));
            if at < a {
                tell(at, a, Part::Fresh);
            }
            if a < b {
                tell(a, b, Part::Again);
            }
            at = at.max(b);
            low = low.min(from);
            high = high.max(to);
            self.lower.remove(&from);
        }
        if at < end {
            tell(at, end, Part::Fresh);
        }
        self.lower.insert(low, high);
        self.top = self.lower.pop_last();
    }

    /// Every span, in order.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.lower.iter().map(|(from, to)| (*from, *to)).chain(self.top)
    }

    /// The parts of `start..end` in order, none of them empty, and whether each is in the set.
    pub fn split(&self, start: u64, end: u64, mut tell: impl FnMut(u64, u64, bool)) {
        let mut at = start;
        let first = self.lower.range(..=start).next_back().map_or(start, |(from, _)| *from);
        let below = self.lower.range(first..end.max(first)).map(|(from, to)| (*from, *to));
        for (from, to) in below.chain(self.top) {
            let (a, b) = (from.max(at), to.min(end));
            if a >= b {
                continue;
            }
            if at < a {
                tell(at, a, false);
            }
            tell(a, b, true);
            at = b;
        }
        if at < end {
            tell(at, end, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn spans_are_a_set(inserts in prop::collection::vec((0_u64..60, 0_u64..12), 0..30), from in 0_u64..60, length in 0_u64..30) {
            let mut spans = Spans::default();
            let mut set = BTreeSet::new();
            for (start, length) in inserts {
                let mut told = Vec::new();
                let mut empty = 0;
                spans.insert(start, start + length, |a, b, part| {
                    empty += u32::from(a >= b);
                    told.extend((a..b).map(|x| (x, part)));
                });
                let expected: Vec<_> = (start..start + length)
                    .map(|x| (x, if set.insert(x) { Part::Fresh } else { Part::Again }))
                    .collect();
                prop_assert_eq!((told, empty), (expected, 0));
            }
            prop_assert_eq!(spans.iter().flat_map(|(a, b)| a..b).collect::<Vec<_>>(), set.iter().copied().collect::<Vec<_>>());
            let ends: Vec<(u64, u64)> = spans.iter().collect();
            prop_assert!(ends.windows(2).all(|pair| pair[0].1 < pair[1].0), "touching: {:?}", ends);
            let (mut told, mut empty) = (Vec::new(), 0);
            spans.split(from, from + length, |a, b, inside| {
                empty += u32::from(a >= b);
                told.extend((a..b).map(|x| (x, inside)));
            });
            let expected: Vec<_> = (from..from + length).map(|x| (x, set.contains(&x))).collect();
            prop_assert_eq!((told, empty), (expected, 0));
        }
    }
}
