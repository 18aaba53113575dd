//! Who is asking: the tenant of a bearer token.
//!
//! Signatures are not verified. The real cloud's gateway does that before a request reaches the
//! API; here a token only says which tenant its bearer plays, and anybody may write one.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// When a token without a wish of its own expires: the first second of 2100.
const FAR_AWAY_UNIX: i64 = 4_102_444_800;

/// A well-formed JWT of a tenant, with the claims `tenant_id`, `exp` (2100 where none is given) and `sub`.
///
/// Its third part is no signature: the dev cloud verifies none.
pub fn dev_token(tenant: &str, expires_at_unix: Option<i64>) -> String {
    let header = json!({"alg": "HS256", "typ": "JWT"});
    let claims = json!({
        "exp": expires_at_unix.unwrap_or(FAR_AWAY_UNIX),
        "sub": format!("developer@{tenant}"),
        "tenant_id": tenant,
    });
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{}", part(&header), part(&claims), URL_SAFE_NO_PAD.encode("not-a-signature"))
}

/// Why a request has no tenant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stranger {
    /// No `Authorization`, or one of another scheme.
    Absent,
    /// A bearer that is neither a JWT with a tenant nor an accepted opaque token.
    Malformed,
    /// The token's `exp` has passed.
    Expired,
}

/// The bearer token of an `Authorization` header.
pub(crate) fn bearer(authorization: Option<&str>) -> Option<&str> {
    let (scheme, token) = authorization?.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim()).filter(|token| !token.is_empty())
}

/// The tenant a bearer token speaks for; tokens without dots belong to `opaque_tenant`.
pub(crate) fn tenant_of(
    token: Option<&str>,
    opaque_tenant: Option<&str>,
    now_ms: i64,
) -> Result<String, Stranger> {
    let token = token.ok_or(Stranger::Absent)?;
    if !token.contains('.') {
        return opaque_tenant.map(str::to_owned).ok_or(Stranger::Malformed);
    }
    let claims = claims_of(token).ok_or(Stranger::Malformed)?;
    if let Some(expires) = claims.get("exp") {
        let expires = expires.as_f64().ok_or(Stranger::Malformed)?;
        // Exact for the next 285,000 years.
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of a wall clock fit in 53 bits")]
        if expires * 1000.0 <= now_ms as f64 {
            return Err(Stranger::Expired);
        }
    }
    match claims.get("tenant_id") {
        Some(Value::String(tenant)) if !tenant.is_empty() => Ok(tenant.clone()),
        _ => Err(Stranger::Malformed),
    }
}

fn claims_of(token: &str) -> Option<Value> {
    let mut parts = token.split('.');
    let (_header, claims, _signature) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(claims).ok()?;
    serde_json::from_slice::<Value>(&bytes).ok().filter(Value::is_object)
}

#[cfg(test)]
mod tests {
    use super::{Stranger, bearer, dev_token, tenant_of};

    const NOW_MS: i64 = 1_800_000_000_000;

    #[test]
    fn a_token_says_whose_it_is() {
        let check = |token: Option<&str>, opaque: Option<&str>, expected: Result<&str, Stranger>| {
            assert_eq!(tenant_of(token, opaque, NOW_MS), expected.map(str::to_owned), "{token:?}");
        };
        check(None, Some("default"), Err(Stranger::Absent));
        check(Some("opaque"), Some("default"), Ok("default"));
        check(Some("opaque"), None, Err(Stranger::Malformed));
        check(Some(&dev_token("north", None)), None, Ok("north"));
        check(Some(&dev_token("north", Some(1_800_000_001))), None, Ok("north"));
        check(Some(&dev_token("north", Some(1_800_000_000))), None, Err(Stranger::Expired));
        check(Some(&dev_token("", None)), Some("default"), Err(Stranger::Malformed));
        check(Some("a.b.c"), Some("default"), Err(Stranger::Malformed));
        check(Some("a.b"), Some("default"), Err(Stranger::Malformed));
    }

    #[test]
    fn only_a_bearer_is_read() {
        let check =
            |header: Option<&str>, expected: Option<&str>| assert_eq!(bearer(header), expected, "{header:?}");
        check(None, None);
        check(Some("Bearer abc"), Some("abc"));
        check(Some("bearer  abc "), Some("abc"));
        check(Some("Basic abc"), None);
        check(Some("Bearer"), None);
        check(Some("Bearer "), None);
    }
}
