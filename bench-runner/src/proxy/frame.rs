//! Kafka's frames: four bytes of length, then a request or an answer. Nothing behind the first bytes of a head is looked at.

use bytes::{Bytes, BytesMut};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Bytes in front of a frame's content.
pub const LENGTH: usize = 4;
/// As the brokers' `socket.request.max.bytes`.
const LONGEST: usize = 100 << 20;

/// Whole frames of a stream.
pub struct Frames<S> {
    stream: S,
    buffer: BytesMut,
}

impl<S: AsyncRead + Unpin> Frames<S> {
    /// Those of `stream`, from its beginning.
    pub fn of(stream: S) -> Self {
        Frames { stream, buffer: BytesMut::with_capacity(64 << 10) }
    }

    /// The next frame with its length in front; `None`: the stream has ended between two frames. Cancelling loses nothing.
    ///
    /// # Errors
    /// The stream's own, or a length that no frame has.
    pub async fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            if let Some(head) = self.buffer.first_chunk::<LENGTH>() {
                let length = usize::try_from(i32::from_be_bytes(*head)).ok().filter(|it| *it <= LONGEST);
                let whole = LENGTH + length.ok_or(io::ErrorKind::InvalidData)?;
                if self.buffer.len() >= whole {
                    return Ok(Some(self.buffer.split_to(whole).freeze()));
                }
                self.buffer.reserve(whole - self.buffer.len());
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return if self.buffer.is_empty() {
                    Ok(None)
                } else {
                    Err(io::ErrorKind::UnexpectedEof.into())
                };
            }
        }
    }
}

/// The fixed part of a request's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The kind of request.
    pub api: i16,
    /// The version of request and answer.
    pub version: i16,
    /// What the answer will carry, too.
    pub correlation: i32,
}

impl Head {
    /// That of a frame; `None`: it is too short for one.
    pub fn of(frame: &[u8]) -> Option<Head> {
        let fixed = frame.get(LENGTH..)?.first_chunk::<8>()?;
        let [a, b, c, d, e, f, g, h] = *fixed;
        Some(Head {
            api: i16::from_be_bytes([a, b]),
            version: i16::from_be_bytes([c, d]),
            correlation: i32::from_be_bytes([e, f, g, h]),
        })
    }
}

/// The client id in the head of a request; `None`: it has none, or so much of the frame is not there.
pub fn client_id(frame: &[u8]) -> Option<&str> {
    // Behind the fixed part, in every version of a head.
    let rest = frame.get(LENGTH + 8..)?;
    let length = usize::try_from(i16::from_be_bytes(*rest.first_chunk::<2>()?)).ok()?;
    std::str::from_utf8(rest.get(2..2 + length)?).ok()
}

/// The correlation id of an answer; `None`: the frame is too short for one.
pub fn correlation(frame: &[u8]) -> Option<i32> {
    Some(i32::from_be_bytes(*frame.get(LENGTH..)?.first_chunk::<4>()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    fn frame(content: &[u8]) -> Vec<u8> {
        [&(content.len() as i32).to_be_bytes(), content].concat()
    }

    fn wait<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
    }

    #[test]
    fn frames_come_whole_however_the_stream_cuts_them() {
        let sent = [frame(b"one"), frame(&[7; 70_000]), frame(b"")].concat();
        for cut in [1, 3, 4, 5, 65_536] {
            wait(async {
                let (mut writer, reader) = tokio::io::duplex(cut);
                let mut frames = Frames::of(reader);
                let send = async {
                    writer.write_all(&sent).await.expect("written");
                    drop(writer);
                };
                let take = async {
                    let mut taken = Vec::new();
                    while let Some(frame) = frames.next().await.expect("frames") {
                        taken.extend_from_slice(&frame);
                    }
                    taken
                };
                let ((), taken) = tokio::join!(send, take);
                assert_eq!(taken, sent, "in pieces of {cut}");
            });
        }
    }

    #[test]
    fn what_is_no_frame_is_an_error() {
        for bytes in [vec![0, 0, 0, 9, 1], (-1i32).to_be_bytes().to_vec(), i32::MAX.to_be_bytes().to_vec()] {
            let taken = wait(async { Frames::of(bytes.as_slice()).next().await });
            assert!(taken.is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn a_head_is_read_where_there_is_one() {
        let request = frame(&[0, 26, 0, 3, 0, 0, 1, 2, 0xff, 0xff]);
        assert_eq!(Head::of(&request), Some(Head { api: 26, version: 3, correlation: 258 }));
        assert_eq!(Head::of(&request[..11]), None);
        assert_eq!(client_id(&request), None);
        let named = frame(&[0, 26, 0, 3, 0, 0, 1, 2, 0, 2, b'm', b'e', 7]);
        assert_eq!((client_id(&named), client_id(&named[..15])), (Some("me"), None));
        assert_eq!(correlation(&frame(&[0, 0, 0, 5])), Some(5));
        assert_eq!(correlation(&frame(&[0, 0, 0])), None);
    }
}
