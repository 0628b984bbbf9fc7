//! Clients of the encrypted transports that give the octets of an answer as they came, and the certificate they were shown.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use h2::client::SendRequest;
use quinn::crypto::rustls::QuicClientConfig;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The name in every certificate of these tests.
pub(super) const NAME: &str = "ns.example";
const PATIENCE: Duration = Duration::from_secs(10);

/// What a client believes, and what it wants to speak.
fn config(trusted: &[CertificateDer<'static>], protocol: &[u8]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    trusted.iter().for_each(|certificate| roots.add(certificate.clone()).unwrap());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    // Each connection is to be shown the certificate.
    config.resumption = rustls::client::Resumption::disabled();
    config
}

/// A TLS handshake; the error is that of the server's certificate or of its refusal.
pub(super) async fn handshake(
    server: SocketAddr,
    trusted: &[CertificateDer<'static>],
    protocol: &[u8],
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(server).await?;
    stream.set_nodelay(true)?;
    let connector = TlsConnector::from(Arc::new(config(trusted, protocol)));
    timeout(PATIENCE, connector.connect(ServerName::try_from(NAME).unwrap(), stream)).await?
}

/// One connection of any encrypted transport.
pub(super) trait Client: Sized {
    /// Connects to a server that shows one of the trusted certificates.
    async fn connect(server: SocketAddr, trusted: &[CertificateDer<'static>]) -> Self;
    /// Asks, and waits for the answer.
    async fn ask(&mut self, query: &[u8]) -> Vec<u8>;
    /// The certificate that the server has shown.
    fn shown(&self) -> CertificateDer<'static>;
}

/// DNS over TLS.
pub(super) struct Tls(pub(super) TlsStream<TcpStream>);

impl Client for Tls {
    async fn connect(server: SocketAddr, trusted: &[CertificateDer<'static>]) -> Self {
        Self(handshake(server, trusted, b"dot").await.unwrap())
    }

    async fn ask(&mut self, query: &[u8]) -> Vec<u8> {
        self.0.write_all(&framed(query)).await.unwrap();
        self.0.flush().await.unwrap();
        let reading = async {
            let mut answer = vec![0; usize::from(self.0.read_u16().await.unwrap())];
            self.0.read_exact(&mut answer).await.unwrap();
            answer
        };
        timeout(PATIENCE, reading).await.unwrap()
    }

    fn shown(&self) -> CertificateDer<'static> {
        self.0.get_ref().1.peer_certificates().unwrap()[0].clone()
    }
}

/// DNS over HTTPS.
#[derive(Clone)]
pub(super) struct Https {
    requests: SendRequest<bytes::Bytes>,
    shown: CertificateDer<'static>,
}

impl Client for Https {
    async fn connect(server: SocketAddr, trusted: &[CertificateDer<'static>]) -> Self {
        let stream = handshake(server, trusted, b"h2").await.unwrap();
        let shown = stream.get_ref().1.peer_certificates().unwrap()[0].clone();
        let (requests, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        Self { requests, shown }
    }

    async fn ask(&mut self, query: &[u8]) -> Vec<u8> {
        timeout(PATIENCE, self.request(query)).await.unwrap().unwrap()
    }

    fn shown(&self) -> CertificateDer<'static> {
        self.shown.clone()
    }
}

impl Https {
    /// A POST request; the error says that there was no answer.
    pub(super) async fn request(&mut self, query: &[u8]) -> Result<Vec<u8>, h2::Error> {
        let request = http::Request::post(format!("https://{NAME}/dns-query"))
            .header("content-type", "application/dns-message")
            .header("accept", "application/dns-message")
            .body(())
            .unwrap();
        let mut requests = self.requests.clone().ready().await?;
        let (response, mut body) = requests.send_request(request, false)?;
        body.send_data(query.to_vec().into(), true)?;
        let response = response.await?;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "application/dns-message");
        let mut body = response.into_body();
        let mut answer = Vec::new();
        while let Some(octets) = body.data().await {
            let octets = octets?;
            let _ = body.flow_control().release_capacity(octets.len());
            answer.extend_from_slice(&octets);
        }
        Ok(answer)
    }
}

/// DNS over QUIC.
pub(super) struct Quic {
    connection: quinn::Connection,
    _endpoint: quinn::Endpoint,
}

impl Client for Quic {
    async fn connect(server: SocketAddr, trusted: &[CertificateDer<'static>]) -> Self {
        let endpoint = quinn::Endpoint::client((server.ip(), 0).into()).unwrap();
        let config = QuicClientConfig::try_from(config(trusted, b"doq")).unwrap();
        let config = quinn::ClientConfig::new(Arc::new(config));
        let connecting = endpoint.connect_with(config, server, NAME).unwrap();
        Self {
            connection: timeout(PATIENCE, connecting).await.unwrap().unwrap(),
            _endpoint: endpoint,
        }
    }

    async fn ask(&mut self, query: &[u8]) -> Vec<u8> {
        let octets = timeout(PATIENCE, self.request(query)).await.unwrap();
        assert_eq!(usize::from(u16::from_be_bytes([octets[0], octets[1]])), octets.len() - 2);
        octets[2..].to_vec()
    }

    fn shown(&self) -> CertificateDer<'static> {
        let identity = self.connection.peer_identity().unwrap();
        identity.downcast_ref::<Vec<CertificateDer<'static>>>().unwrap()[0].clone()
    }
}

impl Quic {
    /// Everything that comes back on the stream of a query.
    pub(super) async fn request(&self, query: &[u8]) -> Vec<u8> {
        let (mut to, mut from) = self.connection.open_bi().await.unwrap();
        to.write_all(&framed(query)).await.unwrap();
        to.finish().unwrap();
        from.read_to_end(usize::from(u16::MAX) + 2).await.unwrap_or_default()
    }
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u16).to_be_bytes(), message].concat()
}
