//! Names what kept an answer from arriving, by walking a failure's chain of causes.

use std::error::Error as StdError;
use std::io;

use rustls::CertificateError;
use sync_core::{Answer, Refusal, Suspect, Unreachable};

use crate::words;

/// What an HTTP failure comes to.
pub(crate) fn answer(failure: &reqwest::Error) -> Answer {
    if failure.is_builder() {
        return Answer::Internal(chain(failure));
    }
    let causes = causes(failure);
    for cause in &causes {
        if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
            return encryption(tls, failure.is_connect());
        }
    }
    let told = chain(failure);
    // hyper's own types stay out of this crate; these texts are held by tests.
    if told.contains("tunnel error: proxy authorization required") {
        let words = "the proxy wants its own credentials".to_owned();
        return Answer::Refused(Refusal { status: 407, wait: None, words });
    }
    if told.contains("invalid HTTP ") || told.contains("message head is too large") {
        return Answer::Suspect(Suspect::NotTheContract("the answer is not HTTP".to_owned()));
    }
    Answer::Unreachable(unreachable(failure, &causes))
}

/// The failure and its causes as one text.
pub(crate) fn chain(failure: &(dyn StdError + 'static)) -> String {
    let mut told = String::new();
    for cause in causes(failure) {
        let text = cause.to_string();
        if !told.contains(&text) {
            told.push_str(if told.is_empty() { "" } else { ": " });
            told.push_str(&text);
        }
    }
    words::shortened(&told)
}

fn unreachable(failure: &reqwest::Error, causes: &[&(dyn StdError + 'static)]) -> Unreachable {
    let connecting = failure.is_connect();
    if failure.is_dns() {
        return Unreachable::Dns;
    }
    if failure.is_timeout() {
        return if connecting { Unreachable::ConnectTimeout } else { Unreachable::AnswerTimeout };
    }
    let kinds = causes.iter().filter_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind);
    for kind in kinds {
        if let Some(named) = by_kind(kind) {
            // Once it is connected the request may have been sent.
            return if connecting || named == Unreachable::Reset { named } else { Unreachable::Reset };
        }
    }
    // While connecting, what the system gives no name to is a lack on this machine (no descriptors, a firewall).
    if connecting { Unreachable::NoRoute } else { Unreachable::Reset }
}

fn by_kind(kind: io::ErrorKind) -> Option<Unreachable> {
    use io::ErrorKind as Kind;
    const NO_ROUTE: [Kind; 5] = [
        Kind::NetworkUnreachable,
        Kind::HostUnreachable,
        Kind::NetworkDown,
        Kind::AddrNotAvailable,
        Kind::PermissionDenied,
    ];
    const BROKEN: [Kind; 5] = [
        Kind::ConnectionReset,
        Kind::ConnectionAborted,
        Kind::BrokenPipe,
        Kind::NotConnected,
        Kind::UnexpectedEof,
    ];
    if kind == Kind::ConnectionRefused {
        Some(Unreachable::ConnectRefused)
    } else if NO_ROUTE.contains(&kind) {
        Some(Unreachable::NoRoute)
    } else if BROKEN.contains(&kind) {
        Some(Unreachable::Reset)
    } else {
        None
    }
}

fn encryption(failure: &rustls::Error, connecting: bool) -> Answer {
    if let rustls::Error::InvalidCertificate(reason) = failure {
        return Answer::Suspect(Suspect::Certificate(distrust(reason)));
    }
    if *failure == rustls::Error::NoCertificatesPresented {
        return Answer::Suspect(Suspect::Certificate("it shows no certificate".to_owned()));
    }
    // After the handshake the request may have been sent, unless the other side says why it takes none.
    let refused = connecting || matches!(failure, rustls::Error::AlertReceived(_));
    Answer::Unreachable(if refused { Unreachable::Tls } else { Unreachable::Reset })
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "another library's list, which grows; the rest speaks for itself"
)]
fn distrust(reason: &CertificateError) -> String {
    match reason {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "it has expired, or the clock of this machine is wrong".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "it is not valid yet, or the clock of this machine is wrong".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "it is for another host".to_owned()
        }
        CertificateError::UnknownIssuer => "its issuer is not trusted by this machine".to_owned(),
        CertificateError::BadSignature => "it is not signed by the issuer it names".to_owned(),
        CertificateError::Revoked => "it is revoked".to_owned(),
        _ => words::shortened(&reason.to_string()),
    }
}

/// The failure and all below it. An `io::Error` hides what it wraps from `source`, so it is opened.
fn causes<'a>(failure: &'a (dyn StdError + 'static)) -> Vec<&'a (dyn StdError + 'static)> {
    let mut found: Vec<&'a (dyn StdError + 'static)> = Vec::new();
    let mut next = Some(failure);
    while let Some(cause) = next {
        found.push(cause);
        next = match cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => cause.source(),
        };
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_names_for_a_failure_become_ours() {
        use io::ErrorKind as Kind;
        for (kind, expected) in [
            (Kind::ConnectionRefused, Some(Unreachable::ConnectRefused)),
            (Kind::NetworkUnreachable, Some(Unreachable::NoRoute)),
            (Kind::HostUnreachable, Some(Unreachable::NoRoute)),
            (Kind::NetworkDown, Some(Unreachable::NoRoute)),
            (Kind::AddrNotAvailable, Some(Unreachable::NoRoute)),
            (Kind::PermissionDenied, Some(Unreachable::NoRoute)),
            (Kind::ConnectionReset, Some(Unreachable::Reset)),
            (Kind::BrokenPipe, Some(Unreachable::Reset)),
            (Kind::UnexpectedEof, Some(Unreachable::Reset)),
            (Kind::InvalidData, None),
        ] {
            assert_eq!(by_kind(kind), expected, "{kind}");
        }
    }

    #[test]
    fn a_distrusted_certificate_says_why_and_other_faults_of_encryption_do_not_accuse_it() {
        use rustls::{AlertDescription, Error};
        for (failure, expected) in [
            (
                Error::InvalidCertificate(CertificateError::UnknownIssuer),
                "its issuer is not trusted by this machine",
            ),
            (Error::InvalidCertificate(CertificateError::Revoked), "it is revoked"),
            (Error::InvalidCertificate(CertificateError::NotValidForName), "it is for another host"),
            (Error::NoCertificatesPresented, "it shows no certificate"),
        ] {
            assert_eq!(
                encryption(&failure, true),
                Answer::Suspect(Suspect::Certificate(expected.to_owned()))
            );
        }
        for failure in [Error::AlertReceived(AlertDescription::HandshakeFailure), Error::DecryptError] {
            assert_eq!(encryption(&failure, true), Answer::Unreachable(Unreachable::Tls));
            let refused = matches!(failure, Error::AlertReceived(_));
            let expected = if refused { Unreachable::Tls } else { Unreachable::Reset };
            assert_eq!(encryption(&failure, false), Answer::Unreachable(expected), "{failure:?}");
        }
    }

    #[test]
    fn what_an_io_error_wraps_is_found() {
        let inner = rustls::Error::InvalidCertificate(CertificateError::Revoked);
        let outer = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, inner.clone()));
        assert!(causes(&outer).iter().any(|cause| cause.downcast_ref::<rustls::Error>() == Some(&inner)));
    }
}
