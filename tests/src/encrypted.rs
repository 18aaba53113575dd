//! HTTPS before a dev cloud: a token goes to another machine only encrypted.
//!
//! One request after the other on each connection, passed on as it is. Ends with the process.

use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::message::Message;

/// An HTTPS server of an authority that only its bundle knows.
#[derive(Debug)]
pub struct Encrypted {
    name: String,
    address: SocketAddr,
    bundle: PathBuf,
}

impl Encrypted {
    /// Serves at an address of this machine; the authority's certificate goes into the folder.
    ///
    /// # Panics
    /// When it cannot.
    pub fn start(at: IpAddr, cloud: SocketAddr, folder: &Path) -> Self {
        Self::at_port(&at.to_string(), (at, 0).into(), cloud, folder)
    }

    /// The same, under a name that somebody else makes lead to the address.
    ///
    /// # Panics
    /// When it cannot.
    pub fn named(name: &str, at: IpAddr, cloud: SocketAddr, folder: &Path) -> Self {
        Self::at_port(name, (at, 0).into(), cloud, folder)
    }

    /// The same, at this port.
    ///
    /// # Panics
    /// When it cannot.
    pub fn at_port(name: &str, at: SocketAddr, cloud: SocketAddr, folder: &Path) -> Self {
        let mut about = CertificateParams::default();
        about.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let authority = about.self_signed(&key).expect("a certificate");
        let bundle = folder.join("ca.pem");
        std::fs::write(&bundle, authority.pem()).expect("the bundle");
        let config = Arc::new(config(&Issuer::new(about, key), name));
        let listener = TcpListener::bind(at).expect("a free port");
        let address = listener.local_addr().expect("its address");
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let config = Arc::clone(&config);
                // How a connection ends is the business of its two sides.
                std::thread::spawn(move || drop(serve(stream, config, cloud)));
            }
        });
        Self { name: name.to_owned(), address, bundle }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("https://{}:{}", self.name, self.address.port())
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The file with the certificate of the authority.
    pub fn bundle(&self) -> &Path {
        &self.bundle
    }
}

fn config(issuer: &Issuer<'_, KeyPair>, name: &str) -> ServerConfig {
    let about = CertificateParams::new(vec![name.to_owned()]).expect("a name or an address");
    let key = KeyPair::generate().expect("a key");
    let certificate = about.signed_by(&key, issuer).expect("a certificate");
    let secret = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions that ring has")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], secret)
        .expect("a key that fits its certificate")
}

fn serve(stream: TcpStream, config: Arc<ServerConfig>, cloud: SocketAddr) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let connection = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut client = StreamOwned::new(connection, stream);
    while let Some(request) = Message::read(&mut client)? {
        let mut cloud = TcpStream::connect(cloud)?;
        cloud.write_all(&request.bytes())?;
        let Some(answer) = Message::read(&mut cloud)? else { break };
        client.write_all(&answer.bytes())?;
        client.flush()?;
    }
    Ok(())
}
