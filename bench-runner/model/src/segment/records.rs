//! The records of one batch: decompression, varints, and what each payload is. It trusts no length that it reads.

use super::markers::Marker;
use super::{Batch, Bounds};
use std::io::Read;

/// No batch of ours is larger when unpacked; a claim beyond it is malformed.
const UNPACKED_MAX: usize = 256 << 20;
const CODEC_MASK: i16 = 7;
const XERIAL_MAGIC: &[u8; 8] = b"\x82SNAPPY\0";
/// Magic, version, compatible version.
const XERIAL_HEADER: usize = 16;

/// One record of a batch.
pub(super) struct Entry<'a> {
    pub(super) offset: i64,
    pub(super) payload: &'a [u8],
    /// Of a control record: what it says.
    pub(super) marker: Option<Marker>,
}

/// Walks records; keeps one buffer for unpacked batches.
#[derive(Default)]
pub(super) struct Records {
    unpacked: Vec<u8>,
}

impl Records {
    /// Tells of every record of a batch inside the bounds.
    pub(super) fn each(
        &mut self,
        batch: &Batch<'_>,
        bounds: Bounds,
        mut tell: impl FnMut(Entry<'_>),
    ) -> Result<(), String> {
        let mut rest = match batch.attributes & CODEC_MASK {
            0 => batch.records,
            codec => {
                self.unpacked.clear();
                unpack(codec, batch.records, &mut self.unpacked)?;
                &self.unpacked
            }
        };
        let control = batch.is_control();
        let mut least = 0;
        for index in 0..batch.count {
            let (delta, key, payload) =
                record(&mut rest).ok_or_else(|| format!("record {index} of {} is malformed", batch.count))?;
            if delta < least || delta > i64::from(batch.last_offset_delta) {
                return Err(format!("record {index} has offset delta {delta}"));
            }
            least = delta + 1;
            let offset = batch.base_offset + delta;
            if offset < bounds.start || offset >= bounds.end {
                continue;
            }
            tell(Entry { offset, payload, marker: control.then(|| Marker::of(key)) });
        }
        if rest.is_empty() { Ok(()) } else { Err(format!("{} bytes after the last record", rest.len())) }
    }
}

fn take<'a>(from: &mut &'a [u8], bytes: i64) -> Option<&'a [u8]> {
    let (front, rest) = from.split_at_checked(usize::try_from(bytes).ok()?)?;
    *from = rest;
    Some(front)
}

/// A zigzag varint of at most 64 bits.
#[inline]
fn varint(from: &mut &[u8]) -> Option<i64> {
    let mut value = 0_u64;
    for (index, byte) in from.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            *from = &from[index + 1..];
            return Some((value >> 1) as i64 ^ -((value & 1) as i64));
        }
    }
    None
}

/// Offset delta, key and payload of the next record; what is null is empty.
#[inline]
fn record<'a>(from: &mut &'a [u8]) -> Option<(i64, &'a [u8], &'a [u8])> {
    let length = varint(from)?;
    let mut body = take(from, length)?;
    take(&mut body, 1)?;
    varint(&mut body)?;
    let delta = varint(&mut body)?;
    let key = varint(&mut body)?;
    let key = take(&mut body, key.max(0))?;
    let value = varint(&mut body)?;
    let payload = take(&mut body, value.max(0))?;
    let headers = varint(&mut body)?;
    for _ in 0..headers {
        let name = varint(&mut body)?;
        take(&mut body, name)?;
        let value = varint(&mut body)?;
        take(&mut body, value.max(0))?;
    }
    (body.is_empty() && headers >= 0).then_some((delta, key, payload))
}

fn unpack(codec: i16, packed: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    match codec {
        1 => drain("gzip", flate2::read::MultiGzDecoder::new(packed), out),
        2 => snappy(packed, out),
        3 => drain("lz4", lz4_flex::frame::FrameDecoder::new(packed), out),
        4 => {
            let decoder =
                zstd::stream::read::Decoder::with_buffer(packed).map_err(|e| format!("zstd: {e}"))?;
            drain("zstd", decoder, out)
        }
        other => Err(format!("compression codec {other} is unknown")),
    }
}

fn drain(codec: &str, decoder: impl Read, out: &mut Vec<u8>) -> Result<(), String> {
    let most = UNPACKED_MAX as u64 + 1;
    let got = decoder.take(most).read_to_end(out).map_err(|error| format!("{codec}: {error}"))?;
    if got as u64 == most { Err(format!("{codec}: more than {UNPACKED_MAX} bytes")) } else { Ok(()) }
}

/// Java frames blocks as the xerial library does; librdkafka writes one raw block.
fn snappy(packed: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    if !packed.starts_with(XERIAL_MAGIC) {
        return snappy_block(packed, out);
    }
    let mut rest = packed.get(XERIAL_HEADER..).ok_or("snappy: header is cut")?;
    while !rest.is_empty() {
        let length =
            rest.first_chunk().map(|length| i32::from_be_bytes(*length)).ok_or("snappy: block is cut")?;
        rest = &rest[4..];
        let block = take(&mut rest, i64::from(length)).ok_or("snappy: block is cut")?;
        snappy_block(block, out)?;
    }
    Ok(())
}

fn snappy_block(block: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    let size = snap::raw::decompress_len(block).map_err(|error| format!("snappy: {error}"))?;
    let start = out.len();
    if size > UNPACKED_MAX - start {
        return Err(format!("snappy: more than {UNPACKED_MAX} bytes"));
    }
    out.resize(start + size, 0);
    let got = snap::raw::Decoder::new().decompress(block, &mut out[start..]);
    got.map_err(|error| format!("snappy: {error}")).map(|_| ())
}
