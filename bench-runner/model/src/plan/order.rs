//! The order of execution: seeded, interleaved blocks, each holding every cell once; the same on every platform.

use super::{Cell, draw};
use crate::profile::{Combination, Profile};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// All cells of one profile in order, without its A/A copy.
pub(super) fn blocks(profile: &Profile) -> Vec<Cell> {
    let mut generator = ChaCha8Rng::seed_from_u64(profile.seed);
    (0..profile.repeats)
        .flat_map(|repeat| {
            let mut order: Vec<&Combination> = profile.combinations.iter().collect();
            shuffle(&mut order, &mut generator);
            order.into_iter().map(move |combination| cell(profile, combination, repeat))
        })
        .collect()
}

/// The A/A copy: the same inputs under another id.
pub(super) fn again(cell: &Cell) -> Cell {
    let stem = cell.id.strip_suffix(&format!(".r{}", cell.repeat)).unwrap_or(&cell.id);
    Cell { id: format!("{stem}.again"), again: true, ..cell.clone() }
}

fn cell(profile: &Profile, combination: &Combination, repeat: u16) -> Cell {
    let seed = seed(profile.seed, repeat);
    Cell {
        id: format!("{}.{}.r{repeat}", profile.name, slug(&combination.label)),
        profile: profile.name.clone(),
        label: combination.label.clone(),
        axes: combination.axes.clone(),
        repeat,
        again: false,
        seed,
        settings: combination.settings.clone(),
        deaths: combination.deaths.clone(),
        kills: draw::kills(&combination.kills, &combination.settings, seed, &combination.label),
        joins: combination.joins.clone(),
        faults: combination.faults.clone(),
        expect: combination.expect.clone(),
    }
}

/// Equal for all cells of a block, so that they are compared on the same bytes and arrivals.
fn seed(profile: u64, repeat: u16) -> u64 {
    let mut generator = ChaCha8Rng::seed_from_u64(profile);
    generator.set_stream(1 + u64::from(repeat));
    // 53 bits survive every reader of JSON.
    generator.next_u64() >> 11
}

/// Fisher-Yates with unbiased draws.
fn shuffle<T>(items: &mut [T], generator: &mut ChaCha8Rng) {
    for last in (1..items.len()).rev() {
        let choices = last as u64 + 1;
        let fair = u64::MAX - u64::MAX % choices;
        let draw = loop {
            let draw = generator.next_u64();
            if draw < fair {
                break draw;
            }
        };
        items.swap(last, (draw % choices) as usize);
    }
}

/// A label fit for directory and topic names: `acks=1, record-size=1 KiB` is `acks-1-record-size-1KiB`.
fn slug(label: &str) -> String {
    label
        .replace("min-insync-replicas", "min-isr")
        .replace("replication-factor", "rf")
        .replace(", ", "-")
        .replace("/s", "")
        .replace(' ', "")
        .replace('=', "-")
}
