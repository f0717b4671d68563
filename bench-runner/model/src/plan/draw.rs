//! The random instants of a cell's kills: drawn from its seed and label, the same on every platform.

use crate::fault::{Kill, KillAsk, Victim};
use crate::settings::CellSettings;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// Streams below this belong to repeats.
const STREAM: u64 = 1 << 32;

/// What was asked for, each kill at an instant of its own and with a victim, in the order of the instants. Cells of a repeat
/// have one seed, and yet no instants in common.
pub(super) fn kills(asked: &[KillAsk], settings: &CellSettings, seed: u64, label: &str) -> Vec<Kill> {
    let mut generator = ChaCha8Rng::seed_from_u64(seed ^ u64::from(crc32c::crc32c(label.as_bytes())));
    generator.set_stream(STREAM);
    // Below one in 2^20 of the range the remainder is no bias that an instant or a victim could show.
    let mut below = |end: u64| generator.next_u64() % end.max(1);
    let end_ns = settings.load.span_ns();
    let mut kills = Vec::new();
    for ask in asked {
        let workers = match ask.worker {
            Victim::Member => settings.group.as_ref().map_or(1, |group| group.members),
            Victim::Producer => settings.load.producers,
        };
        for _ in 0..ask.times {
            let at_ns = ask.at_ns.unwrap_or_else(|| below(end_ns));
            let index = u16::try_from(below(u64::from(workers))).unwrap_or(0);
            kills.push(Kill { worker: ask.worker, index, at_ns, resend: ask.resend });
        }
    }
    kills.sort_by_key(|kill| kill.at_ns);
    kills
}
