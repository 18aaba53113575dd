//! The credential: whether there is one, and what it says of itself. The token is never shown, and never verified: that
//! is the cloud's business.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use sync_config::CredentialSource;
use time::{Duration, OffsetDateTime};

use super::Check;
use crate::human::span;

const SET: &str = "hand one in with `coditect-sync auth set-token`";

/// A clock may be so far behind the one of whoever made the token before it is worth a word.
const SKEW: Duration = Duration::minutes(5);

/// Expiry within this time is worth a word where nothing renews the token.
const SOON: Duration = Duration::hours(24);

/// What was found at the place of the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A program prints it; it is there, and was not run.
    Program(String),
    /// A program would print it, and is not there.
    NoProgram(String),
    /// A file or the configuration holds it.
    Token { place: String, token: sync_config::Secret },
    /// Nothing, or nothing that can be read.
    Nothing { place: String, why: String },
}

/// Looks at the place of the token.
pub(crate) fn find(source: CredentialSource<'_>, is_program: impl Fn(&str) -> bool) -> Found {
    match source {
        CredentialSource::Inline(token) => {
            Found::Token { place: "the configuration".to_owned(), token: token.clone() }
        }
        CredentialSource::File(file) => in_file(file),
        CredentialSource::Command(words) => {
            let program = words.first().cloned().unwrap_or_default();
            if is_program(&program) { Found::Program(program) } else { Found::NoProgram(program) }
        }
    }
}

fn in_file(file: &Path) -> Found {
    let place = format!("`{}`", file.display());
    match std::fs::read_to_string(file).map(|text| sync_config::token::read(&text)) {
        Ok(Ok(token)) => Found::Token { place, token },
        Ok(Err(problem)) => Found::Nothing { place, why: problem.to_string() },
        Err(error) => Found::Nothing { place, why: error.to_string() },
    }
}

/// Whether there is a token and what it says.
pub(crate) fn checks(found: &Found, now: OffsetDateTime) -> Vec<Check> {
    match found {
        Found::Program(program) => {
            vec![Check::ok("token.present", format!("the token is printed by `{program}`"))]
        }
        Found::NoProgram(program) => vec![Check::failed(
            "token.present",
            format!("the token would be printed by `{program}`, which is not there"),
            "install the program, or change `cloud_sync.credential_command`",
        )],
        Found::Nothing { place, why } => {
            vec![Check::failed("token.present", format!("there is no token in {place}: {why}"), SET)]
        }
        Found::Token { place, token } => {
            let present = Check::ok("token.present", format!("there is a token in {place}"));
            let claims = claims(token.expose());
            std::iter::once(present)
                .chain([expiry(claims.as_ref(), now)])
                .chain(skew(claims.as_ref(), now))
                .collect()
        }
    }
}

fn expiry(claims: Option<&Value>, now: OffsetDateTime) -> Check {
    let code = "token.expiry";
    let moment = claims.and_then(|claims| moment(claims.get("exp")?));
    let Some(moment) = moment else {
        return Check::ok(code, "the token does not say when it expires");
    };
    let left = span((moment - now).whole_seconds().unsigned_abs());
    if moment <= now {
        Check::failed(code, format!("the token expired {left} ago"), SET)
    } else if moment - now < SOON {
        Check::warning(code, format!("the token expires in {left}"), SET)
    } else {
        Check::ok(code, format!("the token expires in {left}"))
    }
}

/// A token that is from the future tells of a clock that is behind.
fn skew(claims: Option<&Value>, now: OffsetDateTime) -> Option<Check> {
    let claims = claims?;
    let made = ["iat", "nbf"].iter().filter_map(|name| moment(claims.get(name)?)).max()?;
    (made - now > SKEW).then(|| {
        let ahead = span((made - now).whole_seconds().unsigned_abs());
        Check::failed(
            "clock.token",
            format!("the token was made {ahead} from now: the clock of this machine is behind"),
            "set the clock, for example with `timedatectl set-ntp true`",
        )
    })
}

/// What a JWT says; an opaque token says nothing.
fn claims(token: &str) -> Option<Value> {
    let mut parts = token.split('.');
    let (_, claims, _) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// RFC 7519 allows fractions in a numeric date; a moment no calendar has is none.
fn moment(seconds: &Value) -> Option<OffsetDateTime> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a float's cast to an integer saturates, which is what is meant"
    )]
    let whole = seconds.as_i64().or_else(|| seconds.as_f64().map(|fraction| fraction as i64))?;
    OffsetDateTime::from_unix_timestamp(whole).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Outcome;
    use sync_config::Secret;
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);

    fn check(token: &str, expected: &[(&str, Outcome, &str)]) {
        let found = Found::Token { place: "`/t`".to_owned(), token: Secret::new(token) };
        let checks = checks(&found, NOW);
        let told: Vec<_> =
            checks.iter().skip(1).map(|check| (check.code, check.outcome, check.message.as_str())).collect();
        assert_eq!(told, expected, "{token}");
        for check in checks {
            assert!(!format!("{check:?}").contains(token), "the token is shown");
        }
    }

    fn jwt(claims: &str) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn what_a_token_says_of_itself_is_told() {
        let at = |seconds: i64| (NOW + Duration::seconds(seconds)).unix_timestamp();
        let exp = |seconds| jwt(&format!(r#"{{"exp": {}}}"#, at(seconds)));
        check(&exp(3 * 86_400), &[("token.expiry", Outcome::Ok, "the token expires in 3 d")]);
        check(&exp(3_600), &[("token.expiry", Outcome::Warning, "the token expires in 1 h")]);
        check(&exp(0), &[("token.expiry", Outcome::Failed, "the token expired 0 s ago")]);
        check(&exp(-120), &[("token.expiry", Outcome::Failed, "the token expired 2 m ago")]);
        let silent = ("token.expiry", Outcome::Ok, "the token does not say when it expires");
        for token in
            ["opaque", "a.b.c", &jwt("[]"), &jwt(r#"{"exp": "soon"}"#), &jwt(r#"{"exp": 1e300}"#), "a.b.c.d"]
        {
            check(token, &[silent]);
        }
        let behind = "the token was made 2 h from now: the clock of this machine is behind";
        check(
            &jwt(&format!(r#"{{"iat": {}}}"#, at(7_200))),
            &[silent, ("clock.token", Outcome::Failed, behind)],
        );
        check(&jwt(&format!(r#"{{"iat": {}}}"#, at(60))), &[silent]);
    }

    #[test]
    fn the_place_of_the_token_is_looked_at() {
        let home = tempfile::tempdir().expect("a folder");
        let file = home.path().join("token");
        let outcome = |source| checks(&find(source, |name| name == "/bin/there"), NOW)[0].outcome;
        assert_eq!(outcome(CredentialSource::File(&file)), Outcome::Failed);
        for (text, expected) in
            [("", Outcome::Failed), ("two words", Outcome::Failed), ("abc\n", Outcome::Ok)]
        {
            std::fs::write(&file, text).expect("written");
            assert_eq!(outcome(CredentialSource::File(&file)), expected, "{text}");
        }
        let (there, gone) = (["/bin/there".to_owned()], ["/bin/gone".to_owned()]);
        assert_eq!(outcome(CredentialSource::Command(&there)), Outcome::Ok);
        assert_eq!(outcome(CredentialSource::Command(&gone)), Outcome::Failed);
    }
}
