//! Certificates that are and are not to be trusted, and handshakes that fail for other reasons.

use std::io::{ErrorKind, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use sync_cloud::{Cloud, Settings};
use sync_core::{Answer, Suspect, Unreachable};
use tempfile::TempDir;

use crate::loopback::{Server, outgoing, read_request, registered, settings};

#[tokio::test]
async fn a_certificate_of_the_ca_bundle_is_trusted() {
    let authority = Authority::new();
    let server = authority.server(|_| ());
    let answer = call(&server, Some(authority.bundle())).await;
    assert!(matches!(answer, Answer::Registered(_)), "{answer:?}");
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_is_suspect_with_the_reason() {
    let (authority, stranger, impostor) = (Authority::new(), Authority::named("stranger"), Authority::new());
    let check = async |server: Server, expected: &str| {
        let expected = Answer::Suspect(Suspect::Certificate(expected.to_owned()));
        assert_eq!(call(&server, Some(authority.bundle())).await, expected);
    };
    check(stranger.server(|_| ()), "its issuer is not trusted by this machine").await;
    check(impostor.server(|_| ()), "it is not signed by the issuer it names").await;
    check(authority.server(|about| about.not_after = date_time_ymd(2020, 1, 1)), EXPIRED).await;
    check(authority.server(|about| about.not_before = date_time_ymd(2970, 1, 1)), NOT_YET).await;
    let other = || CertificateParams::new(vec!["other.example".to_owned()]).unwrap().subject_alt_names;
    check(authority.server(|about| about.subject_alt_names = other()), "it is for another host").await;
}

const EXPIRED: &str = "it has expired, or the clock of this machine is wrong";
const NOT_YET: &str = "it is not valid yet, or the clock of this machine is wrong";

#[tokio::test]
async fn without_the_bundle_a_private_authority_is_not_trusted() {
    let answer = call(&Authority::new().server(|_| ()), None).await;
    assert!(matches!(answer, Answer::Suspect(Suspect::Certificate(_))), "{answer:?}");
}

#[tokio::test]
async fn a_ca_bundle_that_cannot_be_used_is_named_and_nothing_is_sent() {
    let authority = Authority::new();
    let (empty, broken) = (authority.folder.path().join("empty"), authority.folder.path().join("broken"));
    std::fs::write(&empty, "").unwrap();
    std::fs::write(&broken, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    for bundle in [authority.folder.path().join("missing"), empty, broken] {
        let answer = call(&authority.server(|_| ()), Some(&bundle)).await;
        let Answer::Suspect(Suspect::Certificate(why)) = &answer else { panic!("{bundle:?}: {answer:?}") };
        assert!(why.contains("ca_bundle") || why.contains("client"), "{why}");
    }
}

#[tokio::test]
async fn a_handshake_that_fails_does_not_accuse_the_certificate() {
    type Deed = fn(TcpStream);
    let deeds: [(Deed, Unreachable); 3] = [
        (|mut stream| stream.write_all(&[21, 3, 3, 0, 2, 2, 40]).unwrap(), Unreachable::Tls),
        (|mut stream| stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap(), Unreachable::Tls),
        (drop, Unreachable::Reset),
    ];
    for (index, (deed, expected)) in deeds.into_iter().enumerate() {
        let server = Server::doing(move |stream| {
            // What the client says first is read, or closing would reset instead of ending.
            let mut hello = [0; 5];
            if stream.peek(&mut hello).is_ok() {
                drain(&stream);
                deed(stream);
            }
        });
        let answer = call(&server, Some(Authority::new().bundle())).await;
        assert_eq!(answer, Answer::Unreachable(expected), "deed {index}");
    }
}

async fn call(server: &Server, bundle: Option<&Path>) -> Answer {
    let url = format!("https://127.0.0.1:{}", server.port());
    let cloud = Cloud::new(Settings { ca_bundle: bundle.map(Path::to_owned), ..settings(&url) }).unwrap();
    cloud.register(None, &outgoing()).await.answer
}

/// Reads one TLS record.
fn drain(mut stream: &TcpStream) {
    use std::io::Read as _;
    let mut head = [0; 5];
    stream.read_exact(&mut head).unwrap();
    let mut record = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
    stream.read_exact(&mut record).unwrap();
}

/// A certificate authority that nobody knows, with its certificate in a file.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: TempDir,
    bundle: PathBuf,
}

impl Authority {
    fn new() -> Self {
        Self::named("authority")
    }

    fn named(name: &str) -> Self {
        let mut about = CertificateParams::default();
        about.distinguished_name.push(DnType::CommonName, name);
        about.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = about.self_signed(&key).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let bundle = folder.path().join("ca.pem");
        std::fs::write(&bundle, certificate.pem()).unwrap();
        Self { issuer: Issuer::new(about, key), folder, bundle }
    }

    fn bundle(&self) -> &Path {
        &self.bundle
    }

    /// A server on 127.0.0.1 with a certificate of this authority, changed by `edit`.
    fn server(&self, edit: impl FnOnce(&mut CertificateParams)) -> Server {
        let mut about = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        edit(&mut about);
        let key = KeyPair::generate().unwrap();
        let certificate = about.signed_by(&key, &self.issuer).unwrap();
        let secret = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], secret)
            .unwrap();
        let config = Arc::new(config);
        Server::doing(move |stream| {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut encrypted = StreamOwned::new(connection, stream);
            if read_request(&mut encrypted).is_some() {
                encrypted.write_all(&registered()).unwrap();
                encrypted.conn.send_close_notify();
                if let Err(error) = encrypted.flush() {
                    // It has its answer, and need not wait for the end.
                    assert!(
                        matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset),
                        "{error}"
                    );
                }
            }
        })
    }
}
