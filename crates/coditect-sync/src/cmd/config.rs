//! `config`: the configuration file, its effective values, and what is wrong with it. Asks no daemon.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use serde_json::{Value, json};
use sync_config::{Loaded, Origin};

use super::Context;
use crate::args::ConfigCommand;
use crate::human::Tone;
use crate::out::Answer;
use crate::problem::Failure;
use crate::table::{Table, Way};

/// What people change first; everything else keeps its default, also when a default becomes a better one.
const BEGINNING: &str = r#"{
  "cloud_sync": {
    "api_url": "https://api.coditect.ai"
  },
  "sync_daemon": {
    "discovery": {
      "roots": ["~/PROJECTS"],
      "exclude": []
    }
  }
}
"#;

pub(super) fn run(command: ConfigCommand, context: &Context) -> Result<Answer, Failure> {
    let file = context.places()?.config_file;
    match command {
        ConfigCommand::Path => {
            let document = json!({"path": file.to_string_lossy(), "exists": file.exists()}).to_string();
            Ok(Answer::result(document.into_bytes(), file.display().to_string()))
        }
        ConfigCommand::Show => {
            let loaded = load(&file, context)?;
            Ok(noted(Answer::result(document(&file, &loaded), shown(&loaded, context)), &loaded))
        }
        ConfigCommand::Check => {
            let loaded = load(&file, context)?;
            let exists = if file.exists() { "is in order" } else { "does not exist, so all has its default" };
            let text = format!("`{}` {exists}", file.display());
            Ok(noted(Answer::done(document(&file, &loaded), text), &loaded))
        }
        ConfigCommand::Init => init(&file),
    }
}

/// The configuration as the daemon would see it, but for the daemon's own flags.
pub(super) fn load(file: &Path, context: &Context) -> Result<Loaded, Failure> {
    context.environment.load(file, Vec::new()).map_err(|problems| Failure::configuration(&problems))
}

fn noted(answer: Answer, loaded: &Loaded) -> Answer {
    if loaded.warnings.is_empty() {
        return answer;
    }
    let lines: Vec<String> = loaded.warnings.iter().map(|warning| format!("warning: {warning}")).collect();
    answer.with_note(lines.join("\n"))
}

fn document(file: &Path, loaded: &Loaded) -> Vec<u8> {
    let values: Vec<Value> = loaded
        .rows()
        .into_iter()
        .map(|row| json!({"key": row.key, "value": row.value, "from": row.origin.to_string()}))
        .collect();
    let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    json!({"path": file.to_string_lossy(), "values": values, "warnings": warnings}).to_string().into_bytes()
}

fn shown(loaded: &Loaded, context: &Context) -> String {
    let mut table = Table::new(&["KEY", "VALUE", "FROM"], &[(2, Way::Path), (1, Way::Name)]);
    for row in loaded.rows() {
        let tone = if *row.origin == Origin::Default { Tone::Faint } else { Tone::Strong };
        table.row(vec![
            (row.key.to_owned(), None),
            (row.value.to_string(), Some(tone)),
            (row.origin.to_string(), Some(Tone::Faint)),
        ]);
    }
    table.render(context.view)
}

fn init(file: &Path) -> Result<Answer, Failure> {
    match create(file) {
        Ok(()) => {
            let document = json!({"path": file.to_string_lossy(), "created": true}).to_string();
            Ok(Answer::done(document.into_bytes(), format!("`{}` is made", file.display())))
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            Err(Failure::failed(format!("`{}` exists already and is left as it is", file.display()))
                .with_hint("see what it says with `coditect-sync config show`"))
        }
        Err(error) => Err(Failure::failed(format!("cannot make `{}`: {error}", file.display()))
            .with_hint("check the folder's permissions, or name another file with `--config`")),
    }
}

fn create(file: &Path) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let mut made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    made.write_all(BEGINNING.as_bytes())?;
    made.sync_all()
}
