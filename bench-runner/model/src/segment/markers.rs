//! Transaction markers: which data of a partition they make visible at read_committed. It judges nothing.

use std::collections::BTreeMap;

/// What a control record says about the transaction of its producer id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marker {
    Abort,
    Commit,
    /// Not about transactions (leader change, snapshot).
    Other,
}

impl Marker {
    /// From a control record's key: version i16, type i16 (Kafka's ControlRecordType).
    pub(super) fn of(key: &[u8]) -> Self {
        match key {
            [_, _, 0, 0, ..] => Marker::Abort,
            [_, _, 0, 1, ..] => Marker::Commit,
            _ => Marker::Other,
        }
    }
}

/// Data of transactions by producer id, until a marker decides.
#[derive(Debug, Default)]
pub(super) struct Markers {
    open: BTreeMap<i64, Vec<(i64, i64)>>,
    aborted: Vec<(i64, i64)>,
}

impl Markers {
    /// Adds a batch of a transaction: offsets `start..end`.
    pub(super) fn data(&mut self, producer_id: i64, offsets: (i64, i64)) {
        self.open.entry(producer_id).or_default().push(offsets);
    }

    /// Ends the open transaction of a producer id.
    pub(super) fn end(&mut self, producer_id: i64, marker: Marker) {
        match marker {
            Marker::Abort => self.aborted.extend(self.open.remove(&producer_id).unwrap_or_default()),
            Marker::Commit => drop(self.open.remove(&producer_id)),
            Marker::Other => {}
        }
    }

    /// What read_committed does not show: aborted, or not ended. In order; neighbours are joined.
    pub(super) fn invisible(self) -> Vec<(i64, i64)> {
        let mut all = self.aborted;
        all.extend(self.open.into_values().flatten());
        all.sort_unstable();
        let mut joined: Vec<(i64, i64)> = Vec::with_capacity(all.len());
        for (start, end) in all.into_iter().filter(|(start, end)| start < end) {
            match joined.last_mut() {
                Some(last) if start <= last.1 => last.1 = last.1.max(end),
                _ => joined.push((start, end)),
            }
        }
        joined
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_decides_about_its_own_producer_id_alone() {
        let mut markers = Markers::default();
        markers.data(7, (0, 3));
        markers.data(8, (3, 5));
        markers.data(7, (5, 6));
        markers.end(8, Marker::of(&[0, 0, 0, 1]));
        markers.end(7, Marker::of(&[0, 0, 0, 0]));
        markers.data(8, (8, 9));
        markers.data(7, (9, 10));
        markers.end(7, Marker::of(&[0, 0, 0, 3]));
        assert_eq!(markers.invisible(), [(0, 3), (5, 6), (8, 10)]);
    }
}
