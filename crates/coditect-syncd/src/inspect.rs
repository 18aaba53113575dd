//! Tells what would be registered for some paths, without a daemon, a database or a cloud.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use serde::Serialize;
use sync_config::Config;
use sync_core::Sighting;

use crate::fatal::Fatal;

/// One project as it would be registered, and what is known of how it was told.
#[derive(Serialize)]
struct Line<'a> {
    root_path: String,
    project_name: &'a str,
    primary_language: &'a str,
    framework: &'a str,
    content_hash: &'a str,
    project_type: &'a str,
    parent_root_path: Option<String>,
    evidence: Evidence<'a>,
    warnings: &'a [String],
}

/// What a field was told by.
#[derive(Serialize)]
struct Evidence<'a> {
    version_control: &'a str,
}

/// Prints one JSON line for each project at or below the paths.
///
/// # Errors
/// When a path cannot be read, or the lines cannot be written.
pub(crate) fn run(config: &Config, paths: &[PathBuf]) -> Result<(), Fatal> {
    let mut stdout = io::stdout().lock();
    for path in paths {
        let root = std::fs::canonicalize(path)
            .map_err(|error| Fatal::Failed(format!("failed to read `{}`: {error}", path.display())))?;
        let discovery = &config.sync_daemon.discovery;
        let options = sync_scan::Options {
            roots: vec![root],
            exclude: discovery.exclude.clone(),
            max_depth: discovery.max_depth,
            follow_symlinks: discovery.follow_symlinks,
        };
        let survey = sync_scan::survey(&options, &AtomicBool::new(false));
        for sighting in &survey.sightings {
            match print(&mut stdout, sighting) {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                printed => printed.map_err(|error| Fatal::Failed(format!("failed to print: {error}")))?,
            }
        }
        for problem in &survey.problems {
            let mut stderr = io::stderr().lock();
            writeln!(stderr, "{}: {}", problem.path.display(), problem.message)
                .map_err(|error| Fatal::Failed(format!("failed to print: {error}")))?;
        }
    }
    Ok(())
}

fn print(out: &mut impl Write, sighting: &Sighting) -> io::Result<()> {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let line = Line {
        root_path: text(&sighting.root),
        project_name: &sighting.name,
        primary_language: &sighting.language,
        framework: &sighting.framework,
        content_hash: &sighting.content_hash,
        project_type: sighting.kind.as_str(),
        parent_root_path: sighting.parent_root.as_deref().map(text),
        evidence: Evidence { version_control: sighting.vcs.as_str() },
        warnings: &sighting.warnings,
    };
    serde_json::to_writer(&mut *out, &line).map_err(io::Error::other)?;
    out.write_all(b"\n")
}
