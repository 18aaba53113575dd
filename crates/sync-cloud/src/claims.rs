//! What a token says of itself: when it expires and whose it is.
//!
//! Read and not verified: that is the cloud's business. Here it only decides when to renew and how local data is
//! partitioned. A token that is no JWT says nothing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use sync_core::{TenantId, Timestamp};

/// What is known of a token besides its text.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Claims {
    /// When it expires: the `exp` claim or what the credential command said, whichever is earlier.
    pub expires_at: Option<Timestamp>,
    /// The `tenant_id` claim.
    pub tenant: Option<TenantId>,
}

impl Claims {
    /// Reads a JWT's claims; an opaque token gives none.
    pub(crate) fn of(token: &str) -> Self {
        let Some(claims) = payload(token) else { return Self::default() };
        Self {
            expires_at: claims.get("exp").and_then(moment),
            tenant: claims.get("tenant_id").and_then(name).and_then(TenantId::new),
        }
    }
}

fn payload(token: &str) -> Option<Value> {
    let mut parts = token.split('.');
    let (_header, claims, _signature) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// RFC 7519 allows fractions in a numeric date.
fn moment(seconds: &Value) -> Option<Timestamp> {
    if let Some(whole) = seconds.as_i64() {
        return Some(Timestamp(whole.saturating_mul(1000)));
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a float's cast to an integer saturates, which is what is meant"
    )]
    seconds.as_f64().map(|fraction| Timestamp((fraction * 1000.0) as i64))
}

fn name(tenant: &Value) -> Option<String> {
    match tenant {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jwt(claims: &str) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn a_jwt_says_when_it_expires_and_whose_it_is() {
        let check = |claims: &str, expires_at: Option<i64>, tenant: Option<&str>| {
            let expected =
                Claims { expires_at: expires_at.map(Timestamp), tenant: tenant.and_then(TenantId::new) };
            assert_eq!(Claims::of(&jwt(claims)), expected, "{claims}");
        };
        check(r#"{"exp": 1700000000, "tenant_id": "acme"}"#, Some(1_700_000_000_000), Some("acme"));
        check(r#"{"exp": 1700000000.25}"#, Some(1_700_000_000_250), None);
        check(r#"{"exp": 0}"#, Some(0), None);
        check(r#"{"exp": -5, "tenant_id": 42}"#, Some(-5000), Some("42"));
        check(r#"{"exp": 9223372036854775807}"#, Some(i64::MAX), None);
        check(r#"{"exp": 1e300}"#, Some(i64::MAX), None);
        check(r#"{"exp": "soon", "tenant_id": ""}"#, None, None);
        check(r#"{"exp": null, "tenant_id": {"id": 1}}"#, None, None);
        check(r#"{"tenant_id": "a\nb"}"#, None, None);
        check("[1, 2]", None, None);
        check("\"text\"", None, None);
        check("{", None, None);
    }

    #[test]
    fn an_opaque_token_says_nothing() {
        for token in
            ["", "opaque", "a.b", "a.b.c", "..", "a.b.c.d", "e30.e30.e30.e30", "\u{e9}.\u{e9}.\u{e9}"]
        {
            assert_eq!(Claims::of(token), Claims::default(), "{token}");
        }
    }
}
