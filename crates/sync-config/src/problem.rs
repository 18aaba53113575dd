//! What is wrong with a configuration, said so that it can be mended without a manual.

use std::fmt;
use std::path::PathBuf;

use crate::origin::Origin;

/// One thing that is wrong: which key, which value, why, what is allowed, and where it was written.
///
/// Its texts are boxed to keep results small. The same type serves for errors and for warnings; the list it stands in says which.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// The key with its sections (`cloud_sync.api_url`), unless the whole file or a place is meant.
    pub key: Option<Box<str>>,
    /// The value as it was given; never a secret.
    pub value: Option<Box<str>>,
    /// What is wrong, as a fragment (`must be a whole number from 1 to 1000`).
    pub why: Box<str>,
    /// Where it was written.
    pub origin: Option<Origin>,
    /// The known name that is nearest to an unknown one.
    pub nearest: Option<Box<str>>,
    /// What to do about it, where that does not follow from `why`.
    pub hint: Option<Box<str>>,
}

impl Problem {
    /// A problem that belongs to no key.
    pub(crate) fn new(why: impl Into<Box<str>>) -> Self {
        Self { key: None, value: None, why: why.into(), origin: None, nearest: None, hint: None }
    }

    /// A problem with a key.
    pub(crate) fn of(key: impl Into<Box<str>>, why: impl Into<Box<str>>) -> Self {
        Self { key: Some(key.into()), ..Self::new(why) }
    }

    pub(crate) fn value(self, value: impl Into<Box<str>>) -> Self {
        Self { value: Some(value.into()), ..self }
    }

    pub(crate) fn at(self, origin: Origin) -> Self {
        Self { origin: Some(origin), ..self }
    }

    pub(crate) fn in_file(self, path: PathBuf, (line, column): (usize, usize)) -> Self {
        self.at(Origin::File { path, line, column })
    }

    pub(crate) fn hint(self, hint: impl Into<Box<str>>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl fmt::Display for Problem {
    /// One line: place, key, value, what is wrong, what to do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            None | Some(Origin::Default) => {}
            Some(origin @ (Origin::File { .. } | Origin::Environment(_) | Origin::Flag(_))) => {
                write!(f, "{origin}: ")?;
            }
        }
        if let Some(key) = &self.key {
            write!(f, "`{key}` ")?;
        }
        if let Some(value) = &self.value {
            write!(f, "is {value}, ")?;
        }
        f.write_str(&self.why)?;
        if let Some(nearest) = &self.nearest {
            write!(f, "; the nearest known name is `{nearest}`")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "; {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problem {}
