//! Where the daemon's program is, by a path that is still right after the next upgrade.
//!
//! A package manager puts links in a folder that stays, to programs in one that has the version in its name; so links
//! are not followed.

use std::path::{Path, PathBuf};

/// Its name.
pub(crate) const NAME: &str = "coditect-syncd";

/// Where it may be, best first: beside this program as it was called, on the search path, beside the file this program
/// really is.
pub(crate) fn candidates(
    called: Option<&Path>,
    on_path: Option<&Path>,
    running: Option<&Path>,
) -> Vec<PathBuf> {
    let beside = |path: &Path| Some(path.parent()?.join(NAME)).filter(|path| path.is_absolute());
    let all = [called.and_then(beside), on_path.map(Path::to_path_buf), running.and_then(beside)];
    all.into_iter().flatten().collect()
}

/// What is to be minded about a path.
pub(crate) fn concern(path: &Path) -> Option<String> {
    let names: Vec<_> = path.components().map(|part| part.as_os_str().to_string_lossy()).collect();
    let built = names.iter().rev().nth(1).is_some_and(|folder| matches!(&**folder, "debug" | "release"));
    let has = |name: &str| names.iter().any(|part| part == name);
    let shown = path.display();
    if built && has("target") {
        Some(format!(
            "`{shown}` is in a build folder: the service breaks when it is cleaned, and a new build takes effect at the next start only"
        ))
    } else if has("Cellar") || path.starts_with("/nix/store") {
        Some(format!(
            "`{shown}` has a version in its path: the service breaks with the next upgrade; run `coditect-sync` by the path that stays and install again"
        ))
    } else if path.starts_with("/tmp") || path.starts_with("/var/tmp") {
        Some(format!("`{shown}` is in a folder for temporary files, which is cleaned"))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_daemon_is_beside_the_program_as_it_was_called() {
        let path = |text: &'static str| Some(Path::new(text));
        let found = candidates(
            path("/opt/homebrew/bin/coditect-sync"),
            path("/usr/bin/coditect-syncd"),
            path("/opt/homebrew/Cellar/coditect-sync/0.1.0/bin/coditect-sync"),
        );
        assert_eq!(
            found,
            [
                "/opt/homebrew/bin/coditect-syncd",
                "/usr/bin/coditect-syncd",
                "/opt/homebrew/Cellar/coditect-sync/0.1.0/bin/coditect-syncd"
            ]
            .map(PathBuf::from)
        );
        assert!(candidates(path("coditect-sync"), None, None).is_empty(), "a path that is not absolute");
    }

    #[test]
    fn a_path_that_will_not_last_is_minded() {
        for (path, expected) in [
            ("/usr/bin/coditect-syncd", None),
            ("/home/ada/target/coditect-syncd", None),
            ("/srv/release/coditect-syncd", None),
            ("/home/ada/x/target/debug/coditect-syncd", Some("build folder")),
            ("/home/ada/x/target/aarch64-apple-darwin/release/coditect-syncd", Some("build folder")),
            ("/opt/homebrew/Cellar/c/0.1.0/bin/coditect-syncd", Some("version in its path")),
            ("/nix/store/abc-c-0.1.0/bin/coditect-syncd", Some("version in its path")),
            ("/tmp/c/coditect-syncd", Some("temporary")),
        ] {
            let found = concern(Path::new(path));
            assert_eq!(found.is_some(), expected.is_some(), "{path}");
            assert!(found.unwrap_or_default().contains(expected.unwrap_or_default()), "{path}");
        }
    }
}
