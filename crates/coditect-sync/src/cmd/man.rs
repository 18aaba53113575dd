//! `man`: the manual pages, made from the arguments themselves.

use std::fs;
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use serde_json::json;

use crate::args::{Cli, Man};
use crate::human::count;
use crate::out::Answer;
use crate::problem::Failure;

pub(super) fn run(man: &Man) -> Result<Answer, Failure> {
    if let Some(folder) = &man.dir {
        return write_all(folder);
    }
    let page =
        page(&Cli::command()).map_err(|error| Failure::failed(format!("cannot make the page: {error}")))?;
    let document = json!({"name": "coditect-sync.1", "page": page}).to_string();
    Ok(Answer::result(document.into_bytes(), page))
}

fn write_all(folder: &Path) -> Result<Answer, Failure> {
    let failed = |error: std::io::Error| {
        Failure::failed(format!("cannot write the pages to `{}`: {error}", folder.display()))
            .with_hint("name a folder that exists or can be made, and that you may write to")
    };
    fs::create_dir_all(folder).map_err(failed)?;
    let mut written: Vec<PathBuf> = Vec::new();
    for (name, page) in pages().map_err(failed)? {
        let file = folder.join(name);
        fs::write(&file, page).map_err(failed)?;
        written.push(file);
    }
    let text = format!("{} written to `{}`", count(written.len() as u64, "page", "pages"), folder.display());
    Ok(Answer::done(json!({"written": written}).to_string().into_bytes(), text))
}

/// The page of the program and one of each command and each command below it.
fn pages() -> std::io::Result<Vec<(String, String)>> {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let mut pages = Vec::new();
    collect(&command, &mut pages)?;
    Ok(pages)
}

fn collect(command: &clap::Command, pages: &mut Vec<(String, String)>) -> std::io::Result<()> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    pages.push((format!("{name}.1"), page(command)?));
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        collect(below, pages)?;
    }
    Ok(())
}

fn page(command: &clap::Command) -> std::io::Result<String> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone())
        .manual("coditect-sync")
        .source(concat!("coditect-sync ", env!("CARGO_PKG_VERSION")))
        .render(&mut page)?;
    String::from_utf8(page).map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidData, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_with_its_options() {
        let pages = pages().expect("the pages");
        let names: Vec<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
        for name in [
            "coditect-sync.1",
            "coditect-sync-status.1",
            "coditect-sync-queue-flush.1",
            "coditect-sync-top.1",
        ] {
            assert!(names.contains(&name), "{names:?}");
        }
        for (name, page) in &pages {
            let title = name.trim_end_matches(".1");
            assert!(page.contains(&format!(".TH {title} 1")), "{name}: {page:.300}");
            assert!(page.contains(".SH NAME") && page.contains(".SH SYNOPSIS"), "{name}");
        }
        let (_, flush) =
            pages.iter().find(|(name, _)| name == "coditect-sync-queue-flush.1").expect("its page");
        assert!(flush.contains("\\-\\-wait") && flush.contains("\\-\\-socket"), "{flush}");
    }
}
