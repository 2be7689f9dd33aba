//! Whom we trust: the built-in roots, and what `--ca-file` adds.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// The roots of every TLS connection of this process.
#[derive(Clone)]
pub struct Tls {
    client: Arc<ClientConfig>,
    added: Vec<CertificateDer<'static>>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("added", &self.added.len()).finish_non_exhaustive()
    }
}

/// Why `--ca-file` cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("--ca-file {path}: {why}")]
pub struct CaError {
    path: String,
    why: String,
}

impl Tls {
    /// The built-in roots and the certificates of the PEM file `ca`.
    ///
    /// # Errors
    /// When the file cannot be read or holds no usable certificate.
    pub fn new(ca: Option<&Path>) -> Result<Self, CaError> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let mut added = Vec::new();
        if let Some(path) = ca {
            let wrong = |why: String| CaError { path: path.display().to_string(), why };
            let found =
                CertificateDer::pem_file_iter(path).map_err(|error| wrong(error.to_string()))?;
            for certificate in found {
                let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
                roots.add(certificate.clone()).map_err(|error| wrong(error.to_string()))?;
                added.push(certificate);
            }
            if added.is_empty() {
                return Err(wrong("holds no certificate".to_owned()));
            }
        }
        // More than one provider may be compiled in; we name ours.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| CaError { path: String::new(), why: error.to_string() })?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { client: Arc::new(client), added })
    }

    /// For websockets.
    pub(super) fn client(&self) -> Arc<ClientConfig> {
        self.client.clone()
    }

    /// What was added to the built-in roots.
    pub fn added(&self) -> &[CertificateDer<'static>] {
        &self.added
    }
}
