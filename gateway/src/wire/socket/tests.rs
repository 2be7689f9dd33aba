use std::io;
use std::sync::Arc;

use futures_util::FutureExt;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_tungstenite::tungstenite::protocol::Role;

use super::*;

/// Both ends of a connection.
async fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
    (near.expect("a connection"), far.expect("a connection").0)
}

async fn socket(near: MaybeTlsStream<TcpStream>) -> Socket {
    Socket::new(WebSocketStream::from_raw_socket(near, Role::Client, None).await)
}

/// Writes it in pieces of many lengths.
async fn cut(bytes: &[u8], to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    let (mut rest, mut length) = (bytes, 1);
    while !rest.is_empty() {
        let (now, then) = rest.split_at(length.min(rest.len()));
        to.write_all(now).await?;
        to.flush().await?;
        tokio::task::yield_now().await;
        (rest, length) = (then, length * 31 % 1021);
    }
    Ok(())
}

/// A text frame as a server sends it.
fn frame(text: &str) -> Vec<u8> {
    let mut bytes = vec![0x81, 126];
    bytes.extend_from_slice(&(text.len() as u16).to_be_bytes());
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

/// Sends messages, cut anyhow, to a socket at which somebody looks in vain now and then; and ends.
async fn all_come(mut socket: Socket, mut far: impl AsyncWrite + Unpin + Send + 'static) {
    let texts: Vec<String> = (0..200).map(|n| "x".repeat(n * 37 % 900)).collect();
    let bytes: Vec<u8> = texts.iter().flat_map(|text| frame(text)).collect();
    let sender = tokio::spawn(async move {
        cut(&bytes, &mut far).await.expect("sent");
        far
    });
    for (number, text) in texts.iter().enumerate() {
        let looked = if number % 3 == 0 { socket.next().now_or_never() } else { None };
        let received = match looked {
            Some(received) => received,
            None => socket.next().await,
        };
        let message = received.expect("a message").expect("a sound one");
        assert_eq!(message.into_text().expect("text").as_str(), text, "message {number}");
    }
    assert!(socket.next().now_or_never().is_none() && socket.is_drained);
    drop(sender.await.expect("sent"));
    assert!(matches!(socket.next().await, None | Some(Err(_))), "the end wakes, too");
}

#[tokio::test]
async fn whatever_comes_wakes_whoever_waits_for_it() {
    let (near, far) = tcp().await;
    all_come(socket(MaybeTlsStream::Plain(near)).await, far).await;
}

/// What each side of an encrypted connection is to know.
fn secrets() -> (ServerConfig, ClientConfig) {
    let mut params = CertificateParams::new(Vec::new()).expect("valid");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key"))
        .expect("an authority");
    let key = KeyPair::generate().expect("a key");
    let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("valid");
    let leaf = leaf.signed_by(&key, &ca).expect("signed");
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .expect("a key pair");
    let mut roots = RootCertStore::empty();
    roots.add(ca.der().clone()).expect("a root");
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    (server, client)
}

/// The records of TLS are cut as well, and hold parts of frames, and several.
#[tokio::test]
async fn whatever_comes_encrypted_wakes_whoever_waits_for_it() {
    let (near, far) = tcp().await;
    let (server, client) = secrets();
    let (inner, outer) = tokio::io::duplex(16 << 10);
    let (mut from_server, mut to_server) = tokio::io::split(outer);
    let (mut from_client, mut to_client) = far.into_split();
    tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
    tokio::spawn(async move {
        let mut bytes = [0; 5000];
        while let Ok(length @ 1..) = from_server.read(&mut bytes).await {
            if cut(&bytes[..length], &mut to_client).await.is_err() {
                break;
            }
        }
    });
    let name = ServerName::try_from("127.0.0.1").expect("an address");
    let connector = TlsConnector::from(Arc::new(client));
    let acceptor = TlsAcceptor::from(Arc::new(server));
    let (near, far) = tokio::join!(connector.connect(name, near), acceptor.accept(inner));
    let near = MaybeTlsStream::Rustls(near.expect("encrypted"));
    all_come(socket(near).await, far.expect("encrypted")).await;
}

/// Nobody has to send or receive anything else for it.
#[tokio::test]
async fn a_ping_is_answered() {
    let (near, mut far) = tcp().await;
    let mut socket = socket(MaybeTlsStream::Plain(near)).await;
    assert!(socket.next().now_or_never().is_none());
    far.write_all(&[0x89, 1, 7]).await.expect("sent");
    assert_eq!(socket.next().await.expect("one").expect("sound"), Message::Ping(vec![7].into()));
    assert!(socket.next().now_or_never().is_none());
    let mut pong = [0; 7];
    far.read_exact(&mut pong).await.expect("a pong");
    assert_eq!(pong[..2], [0x8a, 0x81], "masked, of one byte");
}
