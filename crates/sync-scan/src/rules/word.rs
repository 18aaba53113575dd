//! The form in which words that name a language are compared. Also part of the build script.

/// Lower case, a dash for a space.
pub(crate) fn word_of(words: &str) -> String {
    words.to_lowercase().replace(' ', "-")
}
