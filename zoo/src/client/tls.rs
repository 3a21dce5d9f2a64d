//! TLS on a client's connection: bytes go through it both ways, nothing waits for it.

use super::response::Protocol;
use super::socket::Security;
use anyhow::{Context, Result};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::TLS12;
use rustls::{ALL_VERSIONS, ClientConfig, ClientConnection, RootCertStore};
use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use std::sync::Arc;

/// One client's TLS.
#[derive(Debug)]
pub struct Tls {
    connection: ClientConnection,
    said_goodbye: bool,
    records: Records,
}

/// Where the server's bytes stand among its records.
#[derive(Debug, Default)]
struct Records {
    head: Vec<u8>,
    /// Bytes that the record still lacks.
    missing: usize,
}

impl Records {
    /// RFC 8446, 5.1: type, version and length, in 5 bytes, before each.
    fn feed(&mut self, mut bytes: &[u8]) {
        while let [first, rest @ ..] = bytes {
            if self.missing > 0 {
                let taken = self.missing.min(bytes.len());
                self.missing -= taken;
                bytes = &bytes[taken..];
                continue;
            }
            self.head.push(*first);
            bytes = rest;
            if let [_, _, _, high, low] = self.head[..] {
                self.missing = usize::from(u16::from_be_bytes([high, low]));
                self.head.clear();
            }
        }
    }
}

impl Tls {
    /// Trusts the certificate alone, for `localhost`.
    pub fn new(security: &Security, protocol: Protocol) -> Result<Self> {
        let certificate = read_certificate(&security.certificate)?;
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).context("trusting the certificate")?;
        let versions: &[_] = if security.old { &[&TLS12] } else { ALL_VERSIONS };
        let builder = ClientConfig::builder_with_protocol_versions(versions).with_root_certificates(roots);
        let mut config = if security.mutual {
            let key = PrivateKeyDer::from_pem_file(security.certificate.with_extension("key"));
            let key = key.context("reading the certificate's key")?;
            builder.with_client_auth_cert(vec![certificate], key).context("showing the certificate")?
        } else {
            builder.with_no_client_auth()
        };
        if matches!(protocol, Protocol::Http2 | Protocol::Frames) {
            config.alpn_protocols = vec![b"h2".to_vec()];
        }
        let name = ServerName::try_from("localhost").context("naming the server")?;
        let connection = ClientConnection::new(Arc::new(config), name).context("beginning TLS")?;
        Ok(Self { connection, said_goodbye: false, records: Records::default() })
    }

    /// Whether the handshake is over.
    pub fn is_established(&self) -> bool {
        !self.connection.is_handshaking()
    }

    /// Whether the server's bytes end in the middle of a record.
    pub fn is_inside_record(&self) -> bool {
        self.records.missing > 0 || !self.records.head.is_empty()
    }

    /// Takes what came from the network; the answer is what it says in clear.
    pub fn receive(&mut self, mut bytes: &[u8]) -> Result<Vec<u8>> {
        self.records.feed(bytes);
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

fn read_certificate(path: &Path) -> Result<CertificateDer<'static>> {
    let certificate = CertificateDer::from_pem_file(path);
    certificate.with_context(|| format!("reading the certificate {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_whole_with_its_last_byte() {
        let mut records = Records::default();
        records.feed(&[23, 3, 3, 0, 2, 1, 2, 23, 3]);
        assert_eq!((records.head.len(), records.missing), (2, 0));
        records.feed(&[3, 1, 0]);
        records.feed(&[0; 255]);
        assert_eq!((records.head.len(), records.missing), (0, 1));
    }
}
