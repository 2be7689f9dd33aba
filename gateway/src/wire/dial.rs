//! TCP to a name with several addresses (RFC 8305, "happy eyeballs"): one that swallows everything costs
//! a quarter of a second, not the whole time there is.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::net::{TcpStream, lookup_host};

/// So long one address has to answer before the next is tried beside it.
const STAGGER: Duration = Duration::from_millis(250);
/// More addresses of one name are not tried.
const ADDRESSES_MAX: usize = 16;

/// Connects to the first address of `host` that answers.
pub(super) async fn dial(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = first_of(in_turn(lookup_host((host, port)).await?)).await?;
    // Heartbeats are small and shall not wait for more.
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The families by turns, the system's first choice first.
fn in_turn(addresses: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let addresses: Vec<_> = addresses.take(ADDRESSES_MAX).collect();
    let first = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (one, other): (Vec<_>, Vec<_>) =
        addresses.iter().copied().partition(|address| address.is_ipv6() == first);
    let longest = one.len().max(other.len());
    (0..longest).flat_map(|at| [one.get(at), other.get(at)]).flatten().copied().collect()
}

async fn first_of(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut waiting = addresses.into_iter();
    let mut attempts = FuturesUnordered::new();
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    loop {
        match waiting.next() {
            Some(address) => attempts.push(TcpStream::connect(address)),
            None if attempts.is_empty() => return Err(last),
            None => {}
        }
        let more = waiting.len() > 0;
        tokio::select! {
            Some(done) = attempts.next() => match done {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            },
            () = tokio::time::sleep(STAGGER), if more => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use tokio::net::TcpSocket;

    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn the_families_take_turns() {
        let found = ["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1"].map(address);
        let turns = ["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"].map(address);
        assert_eq!(in_turn(found.into_iter()), turns);
        assert_eq!(in_turn([address("1.1.1.1:1")].into_iter()), [address("1.1.1.1:1")]);
    }

    /// A listener whose queue is full and that accepts nothing: what is sent to it goes unanswered.
    fn black_hole() -> (tokio::net::TcpListener, SocketAddr, Vec<std::net::TcpStream>) {
        let hole = TcpSocket::new_v4().expect("a socket");
        hole.bind(address("127.0.0.1:0")).expect("binds");
        let hole = hole.listen(1).expect("listens");
        let at = hole.local_addr().expect("an address");
        // Fills the queue: from then on connecting waits.
        let mut queue = Vec::new();
        while let Ok(stream) = std::net::TcpStream::connect_timeout(&at, STAGGER) {
            queue.push(stream);
        }
        (hole, at, queue)
    }

    #[tokio::test]
    async fn an_address_that_swallows_everything_keeps_no_other_waiting() {
        let (_hole, silent, _queue) = black_hole();
        let listener = TcpListener::bind("127.0.0.1:0").expect("listens");
        let good = listener.local_addr().expect("an address");
        // So long that only waiting for the silent ones could take it.
        let patience = STAGGER * 100;
        let connected = tokio::time::timeout(patience, first_of(vec![silent, silent, good]));
        let connected = connected.await.expect("not kept waiting").expect("a connection");
        assert_eq!(connected.peer_addr().expect("a peer"), good);
    }

    #[tokio::test]
    async fn addresses_that_refuse_are_passed_at_once_and_the_last_error_is_told() {
        let closed = TcpListener::bind("127.0.0.1:0").expect("listens").local_addr().expect("one");
        let listener = TcpListener::bind("127.0.0.1:0").expect("listens");
        let good = listener.local_addr().expect("an address");
        assert!(first_of(vec![closed, closed, good]).await.is_ok());
        let refused = first_of(vec![closed, closed]).await.expect_err("nobody listens");
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(first_of(vec![]).await.expect_err("none").kind(), io::ErrorKind::NotFound);
    }
}
