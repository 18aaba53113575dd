//! A text that is never printed: neither by `{}` nor by `{:?}` nor by serialization.

use std::fmt;

use serde::{Serialize, Serializer};

/// What is shown where a secret stands.
pub(crate) const HIDDEN: &str = "<hidden>";

/// A secret text, for example an access token.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes the text into hiding.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, to be handed to what needs it and nowhere else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(HIDDEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_shown_by_nothing_but_expose() {
        let secret = Secret::new("s3cr3t");
        let shown =
            [format!("{secret}"), format!("{secret:?}"), serde_json::to_string(&secret).expect("a text")];
        assert_eq!(shown, ["<hidden>", "<hidden>", "\"<hidden>\""]);
        assert_eq!(secret.expose(), "s3cr3t");
    }
}
