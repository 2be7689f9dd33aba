//! Through a proxy (CONNECT, RFC 9110 §9.3.6), for networks that let nothing out directly.

use std::io;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::http::Uri;
use ureq::ProxyProtocol;

use super::connect::USER_AGENT;
use super::dial::dial;

/// Where people name the proxy for encrypted connections; the first that is set wins, as in curl.
const VARIABLES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
/// Where they name the hosts that need none.
const EXCEPTIONS: [&str; 2] = ["NO_PROXY", "no_proxy"];
/// No proxy says more before the tunnel begins.
const ANSWER_MAX: usize = 8 << 10;

/// The way out. Its `Debug` and its errors do not show a password.
#[derive(Debug, Clone)]
pub struct Proxy {
    to: ureq::Proxy,
    /// Found in the environment, which speaks of encrypted connections only.
    encrypted_only: bool,
}

/// Why a proxy cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {why}")]
pub struct ProxyError {
    place: String,
    why: &'static str,
}

impl Proxy {
    /// The one of `--proxy`, else of the environment; hosts of `NO_PROXY` are reached without either.
    ///
    /// # Errors
    /// When it is none that can be used: going without would be another way than the one that was asked for.
    pub fn choose(
        given: Option<&str>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, ProxyError> {
        let set = |name: &&str| variable(name).filter(|value| !value.is_empty());
        let (place, url) = match given {
            Some(url) => ("--proxy".to_owned(), url.to_owned()),
            None => {
                let found = VARIABLES.iter().find_map(|name| Some((*name, set(name)?)));
                let Some((name, url)) = found else { return Ok(None) };
                (name.to_owned(), url)
            }
        };
        let exceptions = EXCEPTIONS.iter().find_map(set).unwrap_or_default();
        // What is excepted everywhere may be of a kind that cannot be used here.
        if given.is_none() && exceptions.split(',').any(|host| host.trim() == "*") {
            return Ok(None);
        }
        let wrong = |why| ProxyError { place: place.clone(), why };
        let to = parse(&url, &exceptions).map_err(wrong)?;
        Ok(Some(Self { to, encrypted_only: given.is_none() }))
    }

    /// The proxy for this URL; `None` where it is reached directly.
    pub fn of(&self, url: &Uri) -> Option<&ureq::Proxy> {
        let encrypted = matches!(url.scheme_str(), Some("https" | "wss"));
        let through = (encrypted || !self.encrypted_only) && !self.to.is_no_proxy(url);
        through.then_some(&self.to)
    }
}

/// Without the password.
impl std::fmt::Display for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.to.host(), self.to.port())
    }
}

fn parse(url: &str, exceptions: &str) -> Result<ureq::Proxy, &'static str> {
    const FORM: &str = "expected http://[USER:PASSWORD@]HOST[:PORT]";
    let told = ureq::Proxy::new(url).map_err(|_| FORM)?;
    if told.protocol() != ProxyProtocol::Http {
        return Err("only proxies that are spoken to over http:// can be used");
    }
    let mut proxy = ureq::Proxy::builder(ProxyProtocol::Http).host(told.host()).port(told.port());
    if let Some(user) = told.username() {
        proxy = proxy.username(user).password(told.password().unwrap_or_default());
    }
    for host in exceptions.split(',').map(str::trim).filter(|host| !host.is_empty()) {
        proxy = proxy.no_proxy(host);
        // A name stands for all below it, as in curl.
        if !host.starts_with(['.', '*']) {
            proxy = proxy.no_proxy(&format!(".{host}"));
        }
    }
    proxy.build().map_err(|_| FORM)
}

/// A connection to `host` through `proxy`.
pub(super) async fn tunnel(proxy: &ureq::Proxy, host: &str, port: u16) -> io::Result<TcpStream> {
    let named = |error: io::Error| {
        io::Error::new(error.kind(), format!("proxy {}:{}: {error}", proxy.host(), proxy.port()))
    };
    let bare = proxy.host().trim_start_matches('[').trim_end_matches(']');
    let mut stream = dial(bare, proxy.port()).await.map_err(named)?;
    stream.write_all(request(proxy, host, port).as_bytes()).await.map_err(named)?;
    let head = read_head(&mut stream).await.map_err(named)?;
    accepted(&head).map_err(|why| named(io::Error::other(why)))?;
    Ok(stream)
}

fn request(proxy: &ureq::Proxy, host: &str, port: u16) -> String {
    // An IPv6 address stands in brackets.
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let credentials = proxy.username().map_or_else(String::new, |user| {
        let told = format!("{user}:{}", proxy.password().unwrap_or_default());
        format!("Proxy-Authorization: Basic {}\r\n", BASE64_STANDARD.encode(told))
    });
    format!(
        "CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\nUser-Agent: {USER_AGENT}\r\n{credentials}\r\n"
    )
}

/// What the proxy says before the tunnel begins, and not a byte of what comes through that.
async fn read_head(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == ANSWER_MAX {
            return Err(io::Error::other("its answer has no end"));
        }
        head.push(stream.read_u8().await?);
    }
    Ok(head)
}

/// Is there a tunnel?
fn accepted(head: &[u8]) -> Result<(), String> {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let code = line.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1));
    match code.and_then(|code| code.parse::<u16>().ok()) {
        Some(200..=299) => Ok(()),
        Some(407) => {
            Err("it wants a user and a password (--proxy http://USER:PASSWORD@HOST)".into())
        }
        Some(code) => Err(format!("it answered {code}")),
        None => Err("it does not speak HTTP".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(
        given: Option<&str>,
        variables: &[(&str, &str)],
    ) -> Result<Option<Proxy>, ProxyError> {
        Proxy::choose(given, |name| {
            variables.iter().find(|(of, _)| *of == name).map(|(_, value)| (*value).to_owned())
        })
    }

    fn uri(url: &str) -> Uri {
        url.parse().expect("a URL")
    }

    #[test]
    fn the_option_wins_over_the_environment_which_speaks_of_encrypted_connections() {
        assert!(choose(None, &[("HTTPS_PROXY", "")]).expect("fine").is_none());
        let environment = [("https_proxy", "http://low:1"), ("ALL_PROXY", "http://all:2")];
        let found = choose(None, &environment).expect("fine").expect("one");
        assert_eq!(found.to_string(), "low:1");
        assert!(found.of(&uri("wss://gateway.discord.gg/")).is_some());
        assert!(found.of(&uri("http://127.0.0.1:3000/api")).is_none());
        let given = choose(Some("http://own:3"), &environment).expect("fine").expect("one");
        assert_eq!(given.to_string(), "own:3");
        assert!(given.of(&uri("ws://127.0.0.1:3000/")).is_some());
    }

    #[test]
    fn hosts_that_need_none_are_reached_directly() {
        let environment = [("NO_PROXY", "discord.gg, 10.0.0.7,*.local")];
        let proxy = choose(Some("http://p:1"), &environment).expect("fine").expect("one");
        for (url, through) in [
            ("wss://gateway.discord.gg/", false),
            ("https://discord.gg/", false),
            ("https://notdiscord.gg/", true),
            ("https://discord.com/api/v10", true),
            ("http://10.0.0.7:8080/", false),
            ("http://printer.local/", false),
        ] {
            assert_eq!(proxy.of(&uri(url)).is_some(), through, "{url}");
        }
        let all = [("no_proxy", "*")];
        let proxy = choose(Some("http://p:1"), &all).expect("fine").expect("one");
        assert!(proxy.of(&uri("https://discord.com/")).is_none());
        // A proxy of the environment that cannot be used is in nobody's way then.
        for all in ["*", "localhost, *"] {
            let set = [("ALL_PROXY", "socks5://p:1"), ("NO_PROXY", all)];
            assert!(choose(None, &set).expect("fine").is_none(), "{all}");
        }
        let some = [("ALL_PROXY", "socks5://p:1"), ("NO_PROXY", "localhost")];
        assert!(choose(None, &some).is_err());
    }

    #[test]
    fn what_is_no_proxy_is_refused_by_where_it_stands_and_without_a_password() {
        for wrong in ["https://u:hidden@p:1", "socks5://p:1", "http://u:hidden@", "ftp://p"] {
            let error = choose(None, &[("HTTPS_PROXY", wrong)]).expect_err("refused").to_string();
            assert!(error.starts_with("HTTPS_PROXY: ") && !error.contains("hidden"), "{error}");
            assert!(choose(Some(wrong), &[]).expect_err("refused").to_string().contains("--proxy"));
        }
        let proxy = choose(Some("http://u:hidden@p:1"), &[]).expect("fine").expect("one");
        assert!(!format!("{proxy} {proxy:?}").contains("hidden"));
    }

    #[test]
    fn what_is_asked_of_it() {
        let proxy = choose(Some("http://me:p%40ss@[::1]:3128"), &[]).expect("fine").expect("one");
        let asked = request(&proxy.to, "2001:db8::1", 443);
        assert!(
            asked.starts_with("CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n")
        );
        // me:p@ss
        assert!(asked.ends_with("Proxy-Authorization: Basic bWU6cEBzcw==\r\n\r\n"), "{asked}");
        let bare = choose(Some("http://p:1"), &[]).expect("fine").expect("one");
        assert!(!request(&bare.to, "h", 1).contains("Authorization"));
    }

    #[test]
    fn p8_only_a_success_is_one() {
        assert_eq!(accepted(b"HTTP/1.1 200 Connection established\r\n\r\n"), Ok(()));
        assert_eq!(accepted(b"HTTP/1.0 200\r\n\r\n"), Ok(()));
        assert!(accepted(b"HTTP/1.1 407 No\r\n\r\n").unwrap_err().contains("password"));
        assert!(accepted(b"HTTP/1.1 502 Bad Gateway\r\n\r\n").unwrap_err().contains("502"));
        for other in [&b""[..], b"SSH-2.0\r\n\r\n", b"HTTP/1.1\r\n\r\n", b"HTTP/1.1 2e2\r\n\r\n"] {
            assert!(accepted(other).is_err());
        }
    }
}
