//! Tells what would be registered for some paths, without a daemon, a database or a cloud.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use sync_config::{Config, Places};
use sync_core::{ProjectKind, Sighting};
use sync_scan::Survey;
use sync_wire::{Evidence, Inspection, LanguageShare, ProjectType, Proof};

use crate::fatal::Fatal;
use crate::places::own;

/// Prints one JSON line for each project at or below the paths; for a path inside a project, that of the project.
///
/// # Errors
/// When a path cannot be read, or the lines cannot be written.
pub(crate) fn run(config: &Config, places: &Places, paths: &[PathBuf]) -> Result<(), Fatal> {
    let options = options(config, places);
    let mut stdout = io::stdout().lock();
    for path in paths {
        let path = std::fs::canonicalize(path)
            .map_err(|error| Fatal::Failed(format!("failed to read `{}`: {error}", path.display())))?;
        let survey = sync_scan::look(&options, std::slice::from_ref(&path), &AtomicBool::new(false));
        for sighting in told(&survey, &path) {
            let evidence = survey.evidence.get(&sighting.root).cloned().unwrap_or_default();
            match print(&mut stdout, &inspection(sighting, &evidence)) {
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

fn options(config: &Config, places: &Places) -> sync_scan::Options {
    let discovery = &config.sync_daemon.discovery;
    sync_scan::Options {
        roots: if discovery.enabled { discovery.roots.clone() } else { Vec::new() },
        exclude: discovery.exclude.clone(),
        max_depth: discovery.max_depth,
        follow_symlinks: discovery.follow_symlinks,
        homes: places.homes(),
        rules: discovery.rules_dir.clone(),
        workspace_members: discovery.workspace_members,
        // The process ends with it.
        worker: None,
        own: own(places),
    }
}

/// The projects at or below the path, else the innermost one that holds it.
fn told<'a>(survey: &'a Survey, path: &Path) -> Vec<&'a Sighting> {
    let path = survey.stand_in(path).unwrap_or(path);
    let all = survey.sightings.iter().map(AsRef::as_ref);
    let below: Vec<&Sighting> = all.filter(|sighting| sighting.root.starts_with(path)).collect();
    if below.is_empty() { innermost(survey, path).into_iter().collect() } else { below }
}

/// The innermost project that holds the path.
pub(crate) fn innermost<'a>(survey: &'a Survey, path: &Path) -> Option<&'a Sighting> {
    let all = survey.sightings.iter().map(AsRef::as_ref);
    let around = all.filter(|sighting: &&Sighting| path.starts_with(&sighting.root));
    around.max_by_key(|sighting| sighting.root.components().count())
}

fn print(out: &mut impl Write, line: &Inspection) -> io::Result<()> {
    serde_json::to_writer(&mut *out, line).map_err(io::Error::other)?;
    out.write_all(b"\n")
}

/// A sighting and its evidence as they are told to others.
pub(crate) fn inspection(sighting: &Sighting, evidence: &sync_scan::Evidence) -> Inspection {
    let (root_path, root_path_exact) = sync_wire::path::to_fields(&sighting.root);
    Inspection {
        root_path,
        root_path_exact,
        project_name: sighting.name.clone(),
        primary_language: sighting.language.clone(),
        framework: sighting.framework.clone(),
        content_hash: sighting.content_hash.clone(),
        project_type: match sighting.kind {
            ProjectKind::Standalone => ProjectType::Standalone,
            ProjectKind::Submodule => ProjectType::Submodule,
            ProjectKind::Monorepo => ProjectType::Monorepo,
        },
        parent_root_path: sighting.parent_root.as_deref().map(|path| path.to_string_lossy().into_owned()),
        evidence: Evidence {
            version_control: sighting.vcs.as_str().to_owned(),
            root_path: proof(&evidence.root_path),
            project_name: proof(&evidence.project_name),
            primary_language: proof(&evidence.primary_language),
            languages: evidence
                .languages
                .iter()
                .map(|share| LanguageShare {
                    language: share.language.clone(),
                    bytes: share.bytes,
                    files: u64::try_from(share.files).unwrap_or(u64::MAX),
                })
                .collect(),
            framework: proof(&evidence.framework),
            content_hash: proof(&evidence.content_hash),
            project_type: proof(&evidence.project_type),
            members: evidence.members.clone(),
            parent_root_path: proof(&evidence.parent_root_path),
        },
        warnings: sighting.warnings.clone(),
    }
}

fn proof(proof: &sync_scan::Proof) -> Proof {
    Proof {
        rule: proof.rule.clone(),
        files: proof.files.clone(),
        found: proof.found.clone(),
        left_out: proof.left_out.clone(),
    }
}
