//! A value as somebody gave it, and the forms it can be read as.
//!
//! From the file a value is JSON; from the environment it is text, where lists are JSON or separated by commas and an
//! empty text means nothing. Says what would have been allowed; knows no key.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::duration;
use crate::secret::HIDDEN;

/// A value before it is understood.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Given {
    /// From the file or a flag.
    Json(Value),
    /// From the environment.
    Text(String),
}

/// Why a value cannot be taken.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Refused {
    /// What is allowed, as a fragment that begins with `must`.
    pub(crate) allowed: String,
    /// What to show as the value, when it is not the whole value.
    pub(crate) shown: Option<String>,
}

impl Refused {
    pub(crate) fn must(allowed: impl Into<String>) -> Self {
        Self { allowed: allowed.into(), shown: None }
    }

    /// For values that may hold a secret.
    pub(crate) fn hidden(self) -> Self {
        Self { shown: Some(HIDDEN.to_owned()), ..self }
    }

    fn because_of(self, part: &str) -> Self {
        Self { shown: Some(quoted(part)), ..self }
    }
}

/// What relative and home paths are relative to.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Base<'a> {
    pub(crate) home: Option<&'a Path>,
    /// Only for flags: elsewhere a relative path would mean something else to each program.
    pub(crate) current_dir: Option<&'a Path>,
}

impl Given {
    /// The value for a message, cut when it is long.
    pub(crate) fn shown(&self) -> String {
        let text = match self {
            Self::Json(value) => value.to_string(),
            Self::Text(text) => quoted(text),
        };
        cut(&text)
    }

    /// Whether it says that the key is to have no value.
    pub(crate) fn is_nothing(&self) -> bool {
        match self {
            Self::Json(value) => value.is_null(),
            Self::Text(text) => text.trim().is_empty(),
        }
    }

    /// The value, or `None` when it says that there is to be none.
    pub(crate) fn optional<T>(
        &self,
        read: impl FnOnce(&Self) -> Result<T, Refused>,
    ) -> Result<Option<T>, Refused> {
        if self.is_nothing() { Ok(None) } else { read(self).map(Some) }
    }

    pub(crate) fn text(&self) -> Result<&str, Refused> {
        match self {
            Self::Json(Value::String(text)) | Self::Text(text) => Ok(text),
            Self::Json(_) => Err(Refused::must("must be a text")),
        }
    }

    pub(crate) fn truth(&self) -> Result<bool, Refused> {
        let text = match self {
            Self::Json(value) => {
                return value.as_bool().ok_or_else(|| Refused::must("must be true or false"));
            }
            Self::Text(text) => text.trim().to_ascii_lowercase(),
        };
        match &*text {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            _ => Err(Refused::must("must be true or false")),
        }
    }

    pub(crate) fn whole(&self, range: &RangeInclusive<u32>) -> Result<u32, Refused> {
        let number = match self {
            Self::Json(value) => value.as_u64().and_then(|number| u32::try_from(number).ok()),
            Self::Text(text) => text.trim().parse().ok(),
        };
        number.filter(|number| range.contains(number)).ok_or_else(|| {
            Refused::must(format!("must be a whole number from {} to {}", range.start(), range.end()))
        })
    }

    pub(crate) fn duration(&self, range: &RangeInclusive<Duration>) -> Result<Duration, Refused> {
        let duration = self.text().ok().and_then(duration::parse);
        duration.filter(|duration| range.contains(duration)).ok_or_else(|| {
            let (least, most) = (duration::text(*range.start()), duration::text(*range.end()));
            Refused::must(format!(
                "must be a duration from {least} to {most}, a whole number and one of ms, s, m, h, d such as \"30s\""
            ))
        })
    }

    pub(crate) fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Result<T, Refused> {
        let text = self.text().map_or("", str::trim);
        choices.iter().find(|(name, _)| *name == text).map(|(_, choice)| *choice).ok_or_else(|| {
            let names: Vec<_> = choices.iter().map(|(name, _)| quoted(name)).collect();
            Refused::must(format!("must be one of {}", names.join(", ")))
        })
    }

    /// A list of texts, none of them empty.
    pub(crate) fn list(&self) -> Result<Vec<String>, Refused> {
        let refused = || Refused::must("must be a list of texts, none of them empty");
        let texts: Vec<String> = match self {
            Self::Json(value) => texts_of(value).ok_or_else(refused)?,
            Self::Text(text) if text.trim_start().starts_with('[') => {
                let value = serde_json::from_str(text).map_err(|wrong| {
                    Refused::must(format!("must be a JSON list or texts separated by commas ({wrong})"))
                })?;
                texts_of(&value).ok_or_else(refused)?
            }
            Self::Text(text) if text.trim().is_empty() => Vec::new(),
            Self::Text(text) => text.split(',').map(|part| part.trim().to_owned()).collect(),
        };
        if texts.iter().any(|text| text.trim().is_empty()) { Err(refused()) } else { Ok(texts) }
    }

    pub(crate) fn path(&self, base: Base<'_>) -> Result<PathBuf, Refused> {
        path(self.text()?, base)
    }

    pub(crate) fn paths(&self, base: Base<'_>) -> Result<Vec<PathBuf>, Refused> {
        let texts = self.list()?;
        texts.iter().map(|text| path(text, base).map_err(|refused| refused.because_of(text))).collect()
    }
}

/// Expands `~` and `$HOME` at the beginning of a path.
pub(crate) fn path(text: &str, base: Base<'_>) -> Result<PathBuf, Refused> {
    let relative_to_home = ["~", "$HOME", "${HOME}"].into_iter().find_map(|name| {
        let rest = text.strip_prefix(name)?;
        (rest.is_empty() || rest.starts_with('/')).then(|| rest.trim_start_matches('/'))
    });
    if let Some(rest) = relative_to_home {
        let home =
            base.home.ok_or_else(|| Refused::must("must be absolute, because no home directory is known"))?;
        return Ok(if rest.is_empty() { home.to_owned() } else { home.join(rest) });
    }
    if text.contains('\0') || text.trim().is_empty() {
        return Err(Refused::must("must be a path"));
    }
    let expands_otherwise = text.starts_with('~') || text.starts_with('$');
    match base.current_dir {
        _ if Path::new(text).is_absolute() => Ok(PathBuf::from(text)),
        Some(current_dir) => Ok(current_dir.join(text)),
        None if expands_otherwise => Err(Refused::must("must be absolute; only ~ and $HOME are expanded")),
        None => Err(Refused::must("must be an absolute path, or begin with ~ or $HOME")),
    }
}

fn texts_of(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|value| value.as_str().map(str::to_owned)).collect()
}

/// A text as JSON writes it, so that line ends and control characters cannot tear a message apart.
pub(crate) fn quoted(text: &str) -> String {
    cut(&Value::from(text).to_string())
}

fn cut(text: &str) -> String {
    const LONGEST: usize = 120;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Base<'_> = Base { home: None, current_dir: None };

    #[test]
    fn home_is_expanded_at_the_beginning_of_a_path_only() {
        let base = Base { home: Some(Path::new("/home/ada")), current_dir: None };
        for (text, expected) in [
            ("~", Some("/home/ada")),
            ("~/", Some("/home/ada")),
            ("~/a b", Some("/home/ada/a b")),
            ("$HOME/x", Some("/home/ada/x")),
            ("${HOME}/x", Some("/home/ada/x")),
            ("/x/~/y", Some("/x/~/y")),
            ("/x/$HOME", Some("/x/$HOME")),
            ("~bob/x", None),
            ("$HOMEWORK/x", None),
            ("$OTHER/x", None),
            ("relative", None),
            ("", None),
            ("/a\0b", None),
        ] {
            assert_eq!(path(text, base).ok(), expected.map(PathBuf::from), "{text:?}");
        }
        assert_eq!(
            path("~/x", HERE),
            Err(Refused::must("must be absolute, because no home directory is known"))
        );
    }

    #[test]
    fn a_list_in_the_environment_is_json_or_separated_by_commas() {
        for (text, expected) in [
            ("a, b,c", Some(vec!["a", "b", "c"])),
            (r#" ["a,b", "c"]"#, Some(vec!["a,b", "c"])),
            ("", Some(vec![])),
            ("a,,b", None),
            ("[1]", None),
            ("[\"a\"", None),
        ] {
            let list = Given::Text(text.to_owned()).list().ok();
            assert_eq!(list, expected.map(|list| list.into_iter().map(str::to_owned).collect()), "{text}");
        }
    }
}
