//! TLS on a client's connection: bytes go through it both ways, nothing waits for it.

use anyhow::{Context, Result};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use std::sync::Arc;

/// One client's TLS.
#[derive(Debug)]
pub struct Tls {
    connection: ClientConnection,
    said_goodbye: bool,
}

impl Tls {
    /// Trusts this certificate alone, for `localhost`.
    pub fn new(certificate: &Path) -> Result<Self> {
        let certificate = CertificateDer::from_pem_file(certificate)
            .with_context(|| format!("reading the certificate {}", certificate.display()))?;
        let mut roots = RootCertStore::empty();
        roots.add(certificate).context("trusting the certificate")?;
        let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let name = ServerName::try_from("localhost").context("naming the server")?;
        let connection = ClientConnection::new(Arc::new(config), name).context("beginning TLS")?;
        Ok(Self { connection, said_goodbye: false })
    }

    /// Whether the handshake is over.
    pub fn is_established(&self) -> bool {
        !self.connection.is_handshaking()
    }

    /// Takes what came from the network; the answer is what it says in clear.
    pub fn receive(&mut self, mut bytes: &[u8]) -> Result<Vec<u8>> {
        let mut clear = Vec::new();
        while !bytes.is_empty() {
            self.connection.read_tls(&mut bytes).context("reading TLS")?;
            self.connection.process_new_packets().context("processing TLS")?;
            match self.connection.reader().read_to_end(&mut clear) {
                Ok(_) => self.say_goodbye(),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error).context("reading from TLS"),
            }
        }
        Ok(clear)
    }

    /// Clients answer close_notify by their own, whether or not anybody still listens.
    fn say_goodbye(&mut self) {
        if !self.said_goodbye {
            self.said_goodbye = true;
            self.connection.send_close_notify();
        }
    }

    /// Takes what is to be said in clear.
    pub fn send(&mut self, clear: &[u8]) -> Result<()> {
        self.connection.writer().write_all(clear).context("writing to TLS")
    }

    /// What is to go to the network.
    pub fn take_output(&mut self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while self.connection.wants_write() {
            self.connection.write_tls(&mut bytes).context("writing TLS")?;
        }
        Ok(bytes)
    }
}
