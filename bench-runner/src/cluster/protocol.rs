//! Three Kafka requests by hand, for what no client library tells: which broker thinks what, and leader epochs.
//!
//! Plaintext only. One connection for each request; every wait is bounded.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const LIMIT: Duration = Duration::from_millis(1500);
const LONGEST_ANSWER_BYTES: usize = 16 << 20;

/// An answer that does not follow the protocol.
fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "answer does not follow the protocol")
}

/// Big-endian reader over an answer.
pub struct Answer {
    bytes: Vec<u8>,
    at: usize,
}

impl Answer {
    fn take(&mut self, count: usize) -> io::Result<&[u8]> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.bytes.len()).ok_or_else(malformed)?;
        let slice = &self.bytes[self.at..end];
        self.at = end;
        Ok(slice)
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        self.take(N)?.try_into().map_err(|_| malformed())
    }

    /// INT16.
    pub fn int16(&mut self) -> io::Result<i16> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    /// INT32.
    pub fn int32(&mut self) -> io::Result<i32> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    /// UNSIGNED_VARINT.
    pub fn varint(&mut self) -> io::Result<usize> {
        let mut value = 0usize;
        for shift in (0..35).step_by(7) {
            let [byte] = self.array()?;
            value |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(malformed())
    }

    /// COMPACT_ARRAY's or COMPACT_STRING's length; null counts as empty.
    pub fn compact_length(&mut self) -> io::Result<usize> {
        Ok(self.varint()?.saturating_sub(1))
    }

    /// COMPACT_STRING; null counts as empty.
    pub fn string(&mut self) -> io::Result<String> {
        let length = self.compact_length()?;
        Ok(String::from_utf8_lossy(self.take(length)?).into_owned())
    }

    /// COMPACT_ARRAY of INT32.
    pub fn ids(&mut self) -> io::Result<Vec<i32>> {
        (0..self.compact_length()?).map(|_| self.int32()).collect()
    }

    /// Passes over bytes that are not needed.
    pub fn skip(&mut self, count: usize) -> io::Result<()> {
        self.take(count).map(|_| ())
    }

    /// Passes over TAG_BUFFER.
    pub fn skip_tags(&mut self) -> io::Result<()> {
        for _ in 0..self.varint()? {
            self.varint()?;
            let length = self.varint()?;
            self.skip(length)?;
        }
        Ok(())
    }
}

/// Sends one request with a flexible header (v2) to `endpoint`; the answer begins after its correlation id.
pub async fn ask(endpoint: &str, api: i16, version: i16, body: &[u8]) -> io::Result<Answer> {
    let client = b"bench-runner";
    let mut request = Vec::with_capacity(32 + body.len());
    request.extend(api.to_be_bytes());
    request.extend(version.to_be_bytes());
    request.extend(7i32.to_be_bytes()); // correlation id; one request per connection needs no other
    request.extend((client.len() as i16).to_be_bytes());
    request.extend(client);
    request.push(0); // no tags
    request.extend(body);
    let exchange = async {
        let mut stream = TcpStream::connect(endpoint).await?;
        stream.write_all(&(request.len() as i32).to_be_bytes()).await?;
        stream.write_all(&request).await?;
        let length = stream.read_i32().await?;
        let length = usize::try_from(length).ok().filter(|length| *length <= LONGEST_ANSWER_BYTES);
        let mut bytes = vec![0; length.ok_or_else(malformed)?];
        stream.read_exact(&mut bytes).await?;
        io::Result::Ok(bytes)
    };
    let bytes = tokio::time::timeout(LIMIT, exchange).await.map_err(|_| io::ErrorKind::TimedOut)??;
    let mut answer = Answer { bytes, at: 0 };
    answer.skip(4)?;
    Ok(answer)
}

/// Appends the length of a COMPACT_ARRAY or COMPACT_STRING.
pub fn put_length(body: &mut Vec<u8>, length: usize) {
    let mut length = length + 1;
    while length >= 0x80 {
        body.push(length as u8 | 0x80);
        length >>= 7;
    }
    body.push(length as u8);
}

/// Appends a COMPACT_STRING.
pub fn put_string(body: &mut Vec<u8>, text: &str) {
    put_length(body, text.len());
    body.extend(text.as_bytes());
}

/// A broker as the cluster's metadata names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// Node id.
    pub id: i32,
    /// `host:port` of the listener that was asked.
    pub endpoint: String,
}

/// DescribeCluster v0: the registered and unfenced brokers, as the broker at `endpoint` sees them.
pub async fn registered_brokers(endpoint: &str) -> io::Result<Vec<Registered>> {
    let mut answer = ask(endpoint, 60, 0, &[0, 0]).await?;
    answer.skip_tags()?;
    answer.int32()?; // throttle time
    let error = answer.int16()?;
    answer.string()?; // error message
    if error != 0 {
        return Err(io::Error::other(format!("DescribeCluster: error {error}")));
    }
    answer.string()?; // cluster id
    answer.int32()?; // controller
    let mut brokers = Vec::new();
    for _ in 0..answer.compact_length()? {
        let id = answer.int32()?;
        let host = answer.string()?;
        let port = answer.int32()?;
        answer.string()?; // rack
        answer.skip_tags()?;
        brokers.push(Registered { id, endpoint: format!("{host}:{port}") });
    }
    brokers.sort_by_key(|broker| broker.id);
    Ok(brokers)
}

/// What Kafka's tools call a level, where that was seen: the pinned version's.
const NAMED_LEVELS: [(&str, i16, &str); 1] = [("metadata.version", 30, "4.3-IV0")];

/// ApiVersions v3: the finalized feature levels.
pub async fn features(endpoint: &str) -> io::Result<BTreeMap<String, String>> {
    let mut body = Vec::new();
    put_string(&mut body, "bench-runner");
    put_string(&mut body, env!("CARGO_PKG_VERSION"));
    body.push(0);
    // The answer to ApiVersions has the old header, without tags, whatever its version.
    let mut answer = ask(endpoint, 18, 3, &body).await?;
    let error = answer.int16()?;
    if error != 0 {
        return Err(io::Error::other(format!("ApiVersions: error {error}")));
    }
    for _ in 0..answer.compact_length()? {
        answer.skip(6)?;
        answer.skip_tags()?;
    }
    answer.int32()?; // throttle time
    let mut levels = BTreeMap::new();
    for _ in 0..answer.varint()? {
        let tag = answer.varint()?;
        let length = answer.varint()?;
        if tag != 2 {
            answer.skip(length)?;
            continue;
        }
        for _ in 0..answer.compact_length()? {
            let name = answer.string()?;
            let level = answer.int16()?;
            answer.skip(2)?; // lowest level
            answer.skip_tags()?;
            let known = NAMED_LEVELS.iter().find(|(feature, named, _)| *feature == name && *named == level);
            let text = known.map_or(level.to_string(), |(.., words)| format!("{level} ({words})"));
            levels.insert(name, text);
        }
    }
    Ok(levels)
}
