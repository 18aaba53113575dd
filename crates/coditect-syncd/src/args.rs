//! The daemon's flags.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{CommandFactory, Parser, Subcommand};
use sync_config::{FlagValue, PlaceFlags};

/// Finds projects on this machine and keeps the cloud's record of them true.
#[derive(Parser, Clone, Debug)]
#[command(name = "coditect-syncd", version, about, max_term_width = 100)]
pub struct Args {
    /// Start a dev cloud inside and use it: no account and no network needed
    #[arg(long)]
    pub dev: bool,

    /// Look for projects here instead of the configured roots (repeatable)
    #[arg(long = "root", value_name = "DIR", value_parser = text())]
    pub roots: Vec<String>,

    /// The configuration file
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// The folder of the database, the lock, the logs and the socket
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,

    /// The control socket
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,

    /// Log more (twice: everything)
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,

    /// Log warnings and errors only
    #[arg(short, long, conflicts_with = "verbose")]
    pub quiet: bool,

    /// What to do instead of running
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What the program can do besides running as a daemon.
#[derive(Subcommand, Clone, Debug)]
pub enum Command {
    /// Tell what would be registered for these paths, one JSON line each; registers and writes nothing
    Inspect {
        /// Accepted for symmetry: the answer is always JSON
        #[arg(long)]
        json: bool,
        /// Folders: a project, or a folder of projects
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
    },
    /// Print the manual page
    Man,
}

/// A value of the configuration is text: of a path that is none, another one would be searched.
fn text() -> impl TypedValueParser<Value = String> {
    const WHY: &str =
        "its bytes are not UTF-8, as a root has to be; give the folder above it, or a link in UTF-8";
    OsStringValueParser::new().try_map(|given| given.into_string().map_err(|_bytes| WHY))
}

/// The manual page, made from the flags themselves.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn manual_page(out: &mut impl Write) -> io::Result<()> {
    clap_mangen::Man::new(Args::command().disable_help_subcommand(true))
        .manual("coditect-sync")
        .source(concat!("coditect-sync ", env!("CARGO_PKG_VERSION")))
        .render(out)
}

impl Args {
    /// Where files are, as far as flags say it.
    pub fn place_flags(&self) -> PlaceFlags {
        PlaceFlags {
            config: self.config.clone(),
            state_dir: self.state_dir.clone(),
            socket: self.socket.clone(),
        }
    }

    /// The configuration values that flags replace.
    pub fn values(&self) -> Vec<FlagValue> {
        let mut values = Vec::new();
        if !self.roots.is_empty() {
            values.push(FlagValue {
                flag: "--root".to_owned(),
                key: "sync_daemon.discovery.roots".to_owned(),
                value: self.roots.clone().into(),
            });
        }
        let level = match (self.quiet, self.verbose) {
            (true, _) => Some(("--quiet", "warn")),
            (false, 0) => None,
            (false, 1) => Some(("--verbose", "debug")),
            (false, _) => Some(("--verbose", "trace")),
        };
        if let Some((flag, level)) = level {
            values.push(FlagValue {
                flag: flag.to_owned(),
                key: "sync_daemon.log.level".to_owned(),
                value: level.into(),
            });
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_that_is_not_text_is_refused_and_not_another_one_searched() {
        use std::os::unix::ffi::OsStrExt;

        let given = |root: &[u8]| {
            let root = std::ffi::OsStr::from_bytes(root);
            Args::try_parse_from([
                std::ffi::OsStr::new("coditect-syncd"),
                std::ffi::OsStr::new("--root"),
                root,
            ])
        };
        assert_eq!(given("/a b/é".as_bytes()).expect("it is text").roots, ["/a b/é"]);
        let refused = given(b"/a\xff").expect_err("it is no text").to_string();
        assert!(refused.contains("--root <DIR>") && refused.contains("not UTF-8"), "{refused}");
    }

    #[test]
    fn the_manual_page_names_every_flag_and_command() {
        let mut page = Vec::new();
        manual_page(&mut page).expect("a page");
        let page = String::from_utf8(page).expect("text");
        assert!(page.contains(".TH coditect-syncd 1"), "{page}");
        for word in ["\\-\\-dev", "\\-\\-root", "\\-\\-state\\-dir", "inspect"] {
            assert!(page.contains(word), "{word}: {page}");
        }
    }
}
