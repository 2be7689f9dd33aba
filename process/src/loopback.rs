//! Servers that are for this machine alone.

/// Whether an HTTP `Host` names this machine to itself. A server on loopback without a password answers to no other: a
/// page of the web that has its own name point here would speak with it through a browser otherwise.
pub fn is_loopback_name(host: &str) -> bool {
    let is_port = |rest: &str| {
        let port = rest.strip_prefix(':').unwrap_or(rest);
        rest.is_empty() || port.len() < rest.len() && port.bytes().all(|b| b.is_ascii_digit())
    };
    if let Some((address, rest)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        let address = address.parse::<std::net::Ipv6Addr>();
        return is_port(rest) && address.is_ok_and(|address| address.is_loopback());
    }
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name).to_ascii_lowercase();
    // A name with its root is the same name.
    let name = name.strip_suffix('.').unwrap_or(&name);
    name == "localhost"
        || name.ends_with(".localhost")
        || name.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_loopback_are_known() {
        for name in [
            "localhost",
            "localhost:9464",
            "LOCALHOST:1",
            "localhost.",
            "localhost.:9464",
            "127.0.0.1:1",
            "127.9.9.9",
            "[::1]",
            "[::1]:9464",
            "a.localhost",
        ] {
            assert!(is_loopback_name(name), "{name}");
        }
        for name in [
            "",
            "example.org",
            "127.0.0.1.example.org",
            "10.0.0.1:9464",
            "[fe80::1]",
            "localhost.org",
            "[::1].example.org",
            "[::1]:1.example.org",
            "[::1]9464",
            "[::1",
            "[localhost]",
        ] {
            assert!(!is_loopback_name(name), "{name}");
        }
    }
}
