//! A node's directory as Kafka's formatter leaves it, without its JVM.

use super::properties::{self, Properties};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A UUID as Kafka writes it: 22 characters of URL-safe base64.
pub fn random_id() -> io::Result<String> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut bytes = [0u8; 16];
    io::Read::read_exact(&mut fs::File::open("/dev/urandom")?, &mut bytes)?;
    let number = u128::from_be_bytes(bytes);
    // 128 bits are 21 digits of 6 bits and one of 2; a leading letter keeps it from looking like an option.
    let digit = |index: u32| {
        let bits = if index == 21 { (number << 4) & 63 } else { (number >> (122 - 6 * index)) & 63 };
        ALPHABET[if index == 0 { bits as usize % 52 } else { bits as usize }] as char
    };
    Ok((0..22).map(digit).collect())
}

/// Where a node of this home keeps its logs.
pub fn data(home: &Path) -> PathBuf {
    home.join("data")
}

/// Writes down a node's settings and who it is.
pub fn format(home: &Path, node: i32, cluster_id: &str, properties: &Properties) -> io::Result<()> {
    fs::create_dir_all(data(home))?;
    fs::write(home.join("server.properties"), properties::text(properties))?;
    let meta = format!("version=1\nnode.id={node}\ndirectory.id={}\ncluster.id={cluster_id}\n", random_id()?);
    fs::write(data(home).join("meta.properties"), meta)
}
