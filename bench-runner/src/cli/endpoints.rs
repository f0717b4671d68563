//! `host:port,host:port` as it is typed; resolves nothing.

/// Checks a list of bootstrap servers; spaces around an address are dropped.
///
/// # Errors
/// The address that is none, and what to write.
pub fn endpoints(text: &str) -> Result<String, String> {
    let addresses: Vec<&str> = text.split(',').map(str::trim).collect();
    match addresses.iter().find(|address| !is_endpoint(address)) {
        Some(wrong) => {
            Err(format!("\"{wrong}\" is no address; write host:port,host:port, e.g. localhost:9092"))
        }
        None => Ok(addresses.join(",")),
    }
}

fn is_endpoint(address: &str) -> bool {
    let Some((host, port)) = address.rsplit_once(':') else { return false };
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host_fits = match inner {
        Some(inner) => inner.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || ":/[]".contains(c)),
    };
    host_fits && port.parse::<u16>().is_ok_and(|port| port > 0)
}

#[cfg(test)]
mod tests {
    use super::endpoints;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for (typed, taken) in [
            ("localhost:9092", "localhost:9092"),
            ("a.b:1, c-d:65535", "a.b:1,c-d:65535"),
            ("[::1]:9092", "[::1]:9092"),
            ("10.0.0.1:9092", "10.0.0.1:9092"),
        ] {
            assert_eq!(endpoints(typed).as_deref(), Ok(taken));
        }
        for wrong in
            ["", " ", "host", "host:", ":9092", "host:0", "host:65536", "host:9092,", "a b:1", "::1:9092"]
        {
            let told = endpoints(wrong).expect_err(wrong);
            assert!(told.contains("write host:port"), "{told}");
        }
        assert!(endpoints("ok:1,PLAINTEXT://host:9092").is_err_and(|told| told.starts_with("\"PLAINTEXT:")));
    }
}
