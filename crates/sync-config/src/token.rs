//! Stores an access token for `auth set-token`: mode 0600, whole or not at all.
//!
//! The configuration file is shared and is never written; the token has a file of its own.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::keys::{LONGEST_TOKEN, TOKEN_ALLOWED, token_is_usable};
use crate::load::Loaded;
use crate::owner::Stranger;
use crate::places::Places;
use crate::problem::Problem;
use crate::schema::CredentialSource;
use crate::secret::Secret;

/// The longest input that is worth reading for a token, in bytes: a token, and a line end.
pub const LONGEST_INPUT: usize = LONGEST_TOKEN + 2;

/// The file a token has to be in to be used with this configuration.
///
/// # Errors
/// When the configuration takes its token from elsewhere, so that a stored one would have no effect.
pub fn place(loaded: &Loaded, places: &Places) -> Result<PathBuf, Problem> {
    let key = match loaded.config.cloud_sync.credential_source(places) {
        CredentialSource::File(path) => return Ok(path.to_owned()),
        CredentialSource::Inline(_) => "cloud_sync.auth_token",
        CredentialSource::Command(_) => "cloud_sync.credential_command",
    };
    let problem = Problem::of(key, "is set, so that a stored token would have no effect");
    let problem = problem.hint(format!("remove `{key}` and try again"));
    Err(match loaded.origins.get(key) {
        Some(origin) => problem.at(origin.clone()),
        None => problem,
    })
}

/// Reads a token from what somebody typed or piped in; white space around it does not belong to it.
///
/// # Errors
/// When it is empty or could not be sent. The message does not contain it.
pub fn read(input: &str) -> Result<Secret, Problem> {
    match input.trim() {
        "" => Err(Problem::new("no token was given").hint("write it to the standard input")),
        token if token_is_usable(token) => Ok(Secret::new(token)),
        _ => Err(Problem::new(format!("the token {TOKEN_ALLOWED}"))),
    }
}

/// Writes a token to its file, which nobody else can read at any moment; the folder is made if it is missing. Of a link, as
/// into a password store, the file that it leads to is written. Answers whether another token was there.
///
/// # Errors
/// When the folder or the file cannot be written, or is another user's; a token that was there is then still there.
pub fn write(path: &Path, token: &Secret) -> Result<bool, Problem> {
    let failed = |why: String, hint: &str| {
        Problem::new(format!("cannot write the token to {}: {why}", path.display())).hint(hint)
    };
    let hint = "check the folder's permissions and the space left";
    let file = led_to(path).map_err(|error| failed(error.to_string(), hint))?;
    Stranger::none_at(folder_of(&file))
        .map_err(|stranger| failed(stranger.to_string(), "run this as that user, and not with `sudo`"))?;
    let before = stored(&file);
    replace(&file, token.expose()).map_err(|error| failed(error.to_string(), hint))?;
    Ok(before.is_some_and(|before| before != *token))
}

/// The token in a file, if there is one that can be read.
fn stored(file: &Path) -> Option<Secret> {
    std::fs::symlink_metadata(file).ok().filter(std::fs::Metadata::is_file)?;
    let mut text = String::new();
    File::open(file).ok()?.take(LONGEST_INPUT as u64).read_to_string(&mut text).ok()?;
    read(&text).ok()
}

/// The file that a path leads to, over links, also one that is not there yet.
fn led_to(path: &Path) -> io::Result<PathBuf> {
    match std::fs::read_link(path) {
        Ok(to) => match std::fs::canonicalize(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(folder_of(path).join(to)),
            found => found,
        },
        // It is no link, or not there.
        Err(_) => Ok(path.to_owned()),
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn replace(path: &Path, token: &str) -> io::Result<()> {
    let folder = folder_of(path);
    if std::fs::symlink_metadata(path).is_ok_and(|found| !found.is_file()) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "something that is no file is there"));
    }
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mut name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let beside = folder.join(name);
    let written = write_beside(&beside, token).and_then(|()| std::fs::rename(&beside, path));
    if let Err(error) = written {
        return match std::fs::remove_file(&beside) {
            Err(left) if left.kind() != io::ErrorKind::NotFound => Err(io::Error::new(
                error.kind(),
                format!("{error}, and {} is left: {left}", beside.display()),
            )),
            Ok(()) | Err(_) => Err(error),
        };
    }
    File::open(folder)?.sync_all()
}

fn write_beside(beside: &Path, token: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(beside)?;
    file.write_all(token.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_token_is_one_word_and_never_in_the_message() {
        for (input, expected) in [
            ("abc\n", Ok("abc")),
            ("  a.b-c_d~+/= \r\n", Ok("a.b-c_d~+/=")),
            ("", Err("no token was given; write it to the standard input")),
            (" \n", Err("no token was given; write it to the standard input")),
            ("s3cr et", Err("the token must be one line of visible ASCII without spaces, at most 64 KiB")),
            ("s3cr\net", Err("the token must be one line of visible ASCII without spaces, at most 64 KiB")),
            ("s3crét", Err("the token must be one line of visible ASCII without spaces, at most 64 KiB")),
        ] {
            let found =
                read(input).map(|token| token.expose().to_owned()).map_err(|problem| problem.to_string());
            assert_eq!(found, expected.map(str::to_owned).map_err(str::to_owned), "{input:?}");
        }
    }

    #[test]
    fn a_written_token_is_private_and_replaces_the_one_before() {
        let home = tempfile::tempdir().expect("a temporary folder");
        let path = home.path().join("a/b/token");
        write(&path, &Secret::new("first")).expect("the folder is ours");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("the file is ours");
        write(&path, &Secret::new("second")).expect("the folder is ours");

        let mode = |path: &Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        assert_eq!(std::fs::read_to_string(&path).expect("it is there"), "second\n");
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(&home.path().join("a")), 0o700);
        let left = std::fs::read_dir(home.path().join("a/b")).expect("it is there").count();
        assert_eq!(left, 1, "nothing is left beside the token");
    }

    #[test]
    fn it_is_told_whether_another_token_was_there() {
        let home = tempfile::tempdir().expect("a temporary folder");
        let path = home.path().join("token");
        let written = |token: &str| write(&path, &Secret::new(token)).expect("the folder is ours");
        assert_eq!(["first", "first", "second"].map(written), [false, false, true]);
        std::fs::write(&path, " \n").expect("the file is ours");
        assert!(!written("third"), "an empty file held none");
    }

    #[test]
    fn a_link_stays_and_what_it_leads_to_is_written() {
        let home = tempfile::tempdir().expect("a temporary folder");
        let (link, store) = (home.path().join("state/token"), home.path().join("store/secret"));
        std::fs::create_dir(home.path().join("state")).expect("the folder is ours");
        std::os::unix::fs::symlink("../store/secret", &link).expect("the folder is ours");
        // What it leads to is made, and then replaced.
        for token in ["first", "second"] {
            write(&link, &Secret::new(token)).expect("the folders are ours");
            assert_eq!(std::fs::read_to_string(&store).expect("it is there"), format!("{token}\n"));
            assert!(std::fs::symlink_metadata(&link).expect("it is there").is_symlink());
        }
        std::fs::remove_file(&link).expect("it is ours");
        std::os::unix::fs::symlink("/dev/null", &link).expect("the folder is ours");
        write(&link, &Secret::new("third")).expect_err("a device keeps nothing");
    }

    #[test]
    fn nothing_is_made_in_the_home_of_another_user() {
        let home = tempfile::tempdir().expect("a temporary folder");
        if std::os::unix::fs::chown(home.path(), Some(4719), None).is_err() {
            eprintln!("SKIPPED nothing_is_made_in_the_home_of_another_user: only root gives folders away");
            return;
        }
        let problem =
            write(&home.path().join("a/token"), &Secret::new("s3cr3t")).expect_err("it is another's");
        assert!(problem.to_string().contains("belongs to another user (uid 4719)"), "{problem}");
        assert_eq!(std::fs::read_dir(home.path()).expect("it is there").count(), 0);
    }

    #[test]
    fn a_token_that_cannot_be_written_leaves_nothing() {
        let home = tempfile::tempdir().expect("a temporary folder");
        let folder_in_the_way = home.path().join("token");
        std::fs::create_dir(&folder_in_the_way).expect("the folder is ours");
        let problem = write(&folder_in_the_way, &Secret::new("s3cr3t")).expect_err("a folder is in the way");
        assert!(problem.to_string().contains("cannot write the token to"), "{problem}");
        assert!(!problem.to_string().contains("s3cr3t"));
        assert_eq!(std::fs::read_dir(home.path()).expect("it is there").count(), 1);
    }
}
