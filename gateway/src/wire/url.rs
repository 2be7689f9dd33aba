//! The URL of a connection (G-3, G-18).

use mixcord_event::Encoding;

use super::inflate::Compression;

/// The API version spoken.
pub const API_VERSION: u8 = 10;

/// Adds the parameters of a connection to `base`, whatever query and slash it already carries.
pub fn gateway_url(base: &str, encoding: Encoding, compression: Compression) -> String {
    let base = base.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    let encoding = match encoding {
        Encoding::Etf => "etf",
        Encoding::Json => "json",
    };
    let mut url = format!("{base}/?v={API_VERSION}&encoding={encoding}");
    if let Some(compress) = compression.parameter() {
        url.push_str("&compress=");
        url.push_str(compress);
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g3_version_encoding_and_compression_are_stated() {
        for base in [
            "wss://gateway.discord.gg",
            "wss://gateway.discord.gg/",
            "wss://gateway.discord.gg/?v=6",
        ] {
            assert_eq!(
                gateway_url(base, Encoding::Etf, Compression::Zstd),
                "wss://gateway.discord.gg/?v=10&encoding=etf&compress=zstd-stream"
            );
        }
        assert_eq!(
            gateway_url("ws://127.0.0.1:1/x", Encoding::Json, Compression::None),
            "ws://127.0.0.1:1/x/?v=10&encoding=json"
        );
    }
}
