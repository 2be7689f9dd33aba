//! https and wss, with a certificate that only `--ca-file` makes trusted.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::json;
use tokio_rustls::TlsAcceptor;

use crate::harness::{Instance, Reader, SIGTERM, until};
use crate::hostile::{Hostile, Peer};

/// A new authority's PEM, and a server that has a certificate of it for 127.0.0.1.
pub(crate) fn authority() -> (String, TlsAcceptor) {
    let mut params = CertificateParams::new(Vec::new()).expect("valid");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key"))
        .expect("an authority");
    let key = KeyPair::generate().expect("a key");
    let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()])
        .expect("valid")
        .signed_by(&key, &ca)
        .expect("signed");
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .expect("a key pair");
    (ca.pem(), TlsAcceptor::from(Arc::new(config)))
}

const JSON: [&str; 4] = ["--encoding", "json", "--compression", "none"];

#[test]
fn a_certificate_of_ones_own_is_trusted_with_ca_file_only() {
    let (pem, acceptor) = authority();
    let server = Hostile::start_with(Some(acceptor), |mut peer: Peer| {
        Box::pin(async move {
            peer.ready("s", "wss://127.0.0.1:9").await;
            peer.dispatch(2, "TYPING_START", json!({})).await;
            peer.stay().await;
        })
    });
    let instance = Instance::new();
    let mut gateway = instance.start(&server.api_url(), &JSON);
    until("a complaint", || gateway.log().contains("cannot be asked yet"));
    gateway.signal(SIGTERM);
    assert_eq!(gateway.wait().code(), Some(0));
    assert_eq!(server.connections(), 0);

    let file = instance.folder().join("ca.pem");
    std::fs::write(&file, pem).expect("written");
    let path = file.to_str().expect("text");
    let gateway = instance.start(&server.api_url(), &[&JSON[..], &["--ca-file", path]].concat());
    let mut reader = Reader::new(&instance);
    reader.until("an event", |got| got.iter().any(|got| got.kind == "TYPING_START"));
    drop(gateway);
}

/// The token never travels in the open when the API is encrypted.
#[test]
fn p9_a_resume_url_without_encryption_is_not_used() {
    let (pem, acceptor) = authority();
    let server = Hostile::start_with(Some(acceptor), |mut peer: Peer| {
        Box::pin(async move {
            if peer.number == 0 {
                peer.ready("s", "ws://127.0.0.1:9").await;
                peer.say(&json!({"op": 7})).await;
            } else {
                peer.hello().await;
                peer.expect(6).await;
                peer.dispatch(2, "RESUMED", json!({})).await;
                peer.stay().await;
            }
        })
    });
    let instance = Instance::new();
    let file = instance.folder().join("ca.pem");
    std::fs::write(&file, pem).expect("written");
    let path = file.to_str().expect("text");
    let gateway = instance.start(&server.api_url(), &[&JSON[..], &["--ca-file", path]].concat());
    let mut reader = Reader::new(&instance);
    reader.until("RESUMED", |got| got.iter().any(|got| got.kind == "RESUMED"));
    assert!(gateway.log().contains("not encrypted"), "{}", gateway.log());
    drop(gateway);
}

#[test]
fn a_ca_file_that_holds_nothing_is_refused() {
    let instance = Instance::new();
    let file = instance.folder().join("empty.pem");
    std::fs::write(&file, "nothing").expect("written");
    for path in [file.to_str().expect("text"), "/no/such/file.pem"] {
        let mut gateway = instance.start("https://127.0.0.1:9/api/v10", &["--ca-file", path]);
        assert_eq!(gateway.wait().code(), Some(78));
        assert!(gateway.log().contains("--ca-file"), "{}", gateway.log());
    }
}
