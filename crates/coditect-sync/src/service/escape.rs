//! Writes a path so that a service manager reads the same path again.

/// Inside double quotes of a systemd unit, where specifiers are known and variables are not.
pub(crate) fn systemd_text(text: &str) -> String {
    text.replace('\\', r"\\").replace('"', r#"\""#).replace('%', "%%")
}

/// A path that is a whole value, where specifiers are known and quotes are not.
pub(crate) fn systemd_path(text: &str) -> String {
    text.replace('%', "%%")
}

/// An argument inside double quotes of `ExecStart=`, where variables are known too.
pub(crate) fn systemd_argument(text: &str) -> String {
    systemd_text(text).replace('$', "$$")
}

/// Text between two tags.
pub(crate) fn xml_text(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_something_to_the_manager_is_written_so_that_it_does_not() {
        for (text, in_text, in_argument, in_xml) in [
            ("/plain path", "/plain path", "/plain path", "/plain path"),
            ("/50%h", "/50%%h", "/50%%h", "/50%h"),
            (r#"/a"b"#, r#"/a\"b"#, r#"/a\"b"#, r#"/a"b"#),
            (r"/a\nb", r"/a\\nb", r"/a\\nb", r"/a\nb"),
            (r#"/\""#, r#"/\\\""#, r#"/\\\""#, r#"/\""#),
            ("/$HOME", "/$HOME", "/$$HOME", "/$HOME"),
            ("/a&b<c>", "/a&b<c>", "/a&b<c>", "/a&amp;b&lt;c&gt;"),
            ("/&amp;", "/&amp;", "/&amp;", "/&amp;amp;"),
        ] {
            assert_eq!(systemd_text(text), in_text);
            assert_eq!(systemd_argument(text), in_argument);
            assert_eq!(xml_text(text), in_xml);
            assert_eq!(systemd_path(text), text.replace('%', "%%"));
        }
    }
}
