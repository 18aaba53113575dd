//! What the address of a cloud may look like, and whether it stays on this machine.

use std::net::{Ipv4Addr, Ipv6Addr};

/// What is allowed as an address, for messages.
pub(crate) const ALLOWED: &str =
    "must be a web address such as \"https://api.example.com\", without user name, query or fragment";

/// Reads a web address and gives it back without trailing slashes; `None` when it is none.
pub(crate) fn parse(text: &str) -> Option<String> {
    let text = text.trim();
    let (_, rest) = split(text)?;
    let plain =
        text.bytes().all(|byte| byte.is_ascii_graphic()) && !text.contains(['?', '#', '\\', '"', '<']);
    let authority = authority(rest);
    let usable =
        plain && !authority.contains('@') && port_is_usable(authority) && host_is_usable(host(authority));
    usable.then(|| text.trim_end_matches('/').to_owned())
}

/// Whether what is sent to this address can be read on the way: plain `http` to another machine.
pub(crate) fn is_exposed(address: &str) -> bool {
    split(address).is_some_and(|(scheme, rest)| scheme == "http" && !is_loopback(host(authority(rest))))
}

/// The scheme in lower case, and what follows `://`.
fn split(address: &str) -> Option<(String, &str)> {
    let (scheme, rest) = address.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    matches!(&*scheme, "http" | "https").then_some((scheme, rest))
}

fn authority(rest: &str) -> &str {
    rest.split('/').next().unwrap_or_default()
}

/// The host of an authority without brackets and port.
fn host(authority: &str) -> &str {
    match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    }
}

fn port_is_usable(authority: &str) -> bool {
    let after_host = authority.rfind(']').map_or(authority, |end| &authority[end + 1..]);
    match after_host.split_once(':') {
        Some((_, port)) => port.parse::<u16>().is_ok_and(|port| port > 0),
        None => !authority.starts_with('[') || after_host.is_empty(),
    }
}

fn host_is_usable(host: &str) -> bool {
    host.parse::<Ipv6Addr>().is_ok()
        || (!host.is_empty()
            && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')))
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
        || host.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_scheme_and_a_host_and_nothing_secret() {
        for (given, expected) in [
            ("https://api.coditect.ai", Some("https://api.coditect.ai")),
            (" https://api.coditect.ai// ", Some("https://api.coditect.ai")),
            ("HTTPS://api.coditect.ai/base/", Some("HTTPS://api.coditect.ai/base")),
            ("http://127.0.0.1:8080", Some("http://127.0.0.1:8080")),
            ("http://[::1]:8080/x", Some("http://[::1]:8080/x")),
            ("", None),
            ("api.coditect.ai", None),
            ("ftp://api.coditect.ai", None),
            ("https://", None),
            ("https:///path", None),
            ("https://me:pw@api.coditect.ai", None),
            ("https://api.coditect.ai?x=1", None),
            ("https://api.coditect.ai/#x", None),
            ("https://api coditect.ai", None),
            ("https://api.coditect.ai:0", None),
            ("https://api.coditect.ai:x", None),
            ("https://api.coditect.ai:99999", None),
            ("https://[::1", None),
            ("https://[::1]x", None),
        ] {
            assert_eq!(parse(given).as_deref(), expected, "{given}");
        }
    }

    #[test]
    fn only_plain_http_to_another_machine_is_exposed() {
        for (address, exposed) in [
            ("http://api.coditect.ai", true),
            ("HTTP://10.0.0.1:80", true),
            ("http://localhost.evil.example", true),
            ("http://127.0.0.1.evil.example", true),
            ("https://api.coditect.ai", false),
            ("http://localhost:9", false),
            ("http://127.9.9.9", false),
            ("http://[::1]:9/x", false),
        ] {
            assert_eq!(is_exposed(address), exposed, "{address}");
        }
    }
}
