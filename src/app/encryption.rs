//! The encrypted transports put together: the certificate, and a listener for every address in the lists of `[dns]`.

use std::net::SocketAddr;
use std::sync::Arc;

use super::server::ServerError;
use crate::config::Settings;
use crate::dns::server::Service;
use crate::dns::server::encrypted::{CertificateFiles, Certificates, Encrypted, EncryptedListener, Encryption};

/// Opens every encrypted listener of the configuration. Gives the certificate that they show, if there are any.
pub(super) fn open(settings: &Settings, service: &mut Service) -> Result<Option<Arc<Certificates>>, ServerError> {
    let Some(files) = CertificateFiles::of(&settings.dns) else {
        return Ok(None);
    };
    let encryption = Encryption {
        certificates: Arc::new(Certificates::load(files)?),
        https_path: settings.dns.https_path.clone(),
    };
    for listener in listeners(settings) {
        let address = service.add_encrypted(&listener, &encryption)?;
        tracing::info!("listening on {address}, {}", listener.speaks.transport().name());
    }
    Ok(Some(encryption.certificates))
}

fn listeners(settings: &Settings) -> impl Iterator<Item = EncryptedListener> {
    let dns = &settings.dns;
    let lists = [
        (Encrypted::Tls, &dns.tls_listen),
        (Encrypted::Https, &dns.https_listen),
        (Encrypted::Quic, &dns.quic_listen),
    ];
    lists.into_iter().flat_map(move |(speaks, addresses)| {
        addresses.iter().map(move |address| EncryptedListener {
            address: *address,
            speaks,
            service: is_service(settings, *address),
        })
    })
}

fn is_service(settings: &Settings, address: SocketAddr) -> bool {
    let services = settings.service.iter().flat_map(|service| &service.addresses);
    services.map(|service| service.get()).any(|service| address.ip() == service)
}
