//! A fleet of daemons after a cloud's outage, in invented time, driven by the delivery machine itself.
//!
//! ```text
//! cargo run --release -p sync-core --example fleet -- [--daemons 100000] [--outage 1h] [--limit R/s] [--capacity E/s]
//!     [--seed N] [--scene NAME]… [--plot FOLDER] [--earlier MACHINES]
//! ```
//!
//! Prints a table, and draws a picture of each scene into the folder. `daemon` is the real thing; `earlier` is a model of
//! the earlier client's policy, run with at most 2,000 machines (or as many as `--earlier` says) before as small a part of the cloud, because the copies it
//! makes fill the memory. `docs/performance.md` says how to read it; `tests/fleet.rs` runs a small fleet through the same code.

mod client;
mod cloud;
mod daemon;
mod earlier;
mod figures;
mod plot;
mod scene;
mod series;
mod simulation;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use daemon::Daemon;
use earlier::Earlier;
use figures::Figures;
use plot::{Line, Plot};
use scene::{Scene, Size};
use simulation::{Run, run};

type Failed = Box<dyn std::error::Error>;

struct Given {
    size: Size,
    scenes: Vec<String>,
    plots: Option<PathBuf>,
    /// Most machines of the earlier client; each stands for as many as are missing.
    earlier: u32,
}

/// The picture shows at most so many seconds after the return.
const SHOWN: i64 = 3_600;

/// The head of the table whose rows are [`Figures::row`].
const HEAD: &str = "| scene | policy | requests/s: peak | after 1 min | mean | seconds over the limit | \
         half the machines done | 99 % | all | all, by the ideal | waves | wasted | requests a machine |\n\
         |---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|";

fn main() -> Result<(), Failed> {
    let given = given()?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{HEAD}")?;
    for scene in scene::all(given.size) {
        if !given.scenes.is_empty() && given.scenes.iter().all(|name| name != scene.name) {
            continue;
        }
        let run_of_daemons = run::<Daemon>(&scene, given.size);
        writeln!(out, "{}", Figures::of(&run_of_daemons, &scene, given.size).row(scene.name, "daemon", 1))?;
        out.flush()?;
        let scale = given.size.machines.div_ceil(given.earlier);
        let size = given.size.part(given.size.machines / scale);
        let part =
            scene::all(size).into_iter().find(|part| part.name == scene.name).ok_or("the scene is gone")?;
        let run_of_earlier = run::<Earlier>(&part, size);
        writeln!(out, "{}", Figures::of(&run_of_earlier, &part, size).row(scene.name, "earlier", scale))?;
        out.flush()?;
        if let Some(folder) = &given.plots {
            draw(folder, &scene, &run_of_daemons, &run_of_earlier, scale)?;
        }
    }
    Ok(())
}

fn draw(folder: &Path, scene: &Scene, daemons: &Run, earlier: &Run, scale: u32) -> Result<(), Failed> {
    let seconds = ((daemons.until - scene.back) / 1_000 * 3 / 2).clamp(600, SHOWN);
    let lines = [
        Line { name: "earlier client (model)", colour: "#b8b8b8", run: earlier, scale },
        Line { name: "daemon (its own code)", colour: "#1663b0", run: daemons, scale: 1 },
    ];
    let title = format!("{}: {}", scene.name, scene.what);
    let plot = Plot { title: &title, limit: scene.rules.limit, from: scene.back, seconds, lines: &lines };
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join(format!("fleet-{}.svg", scene.name)), plot.svg())?;
    Ok(())
}

fn given() -> Result<Given, Failed> {
    let size =
        Size { machines: 100_000, limit: 1_000, capacity: 5_000, outage: Duration::from_hours(1), seed: 1 };
    let mut given = Given { size, scenes: Vec::new(), plots: None, earlier: 2_000 };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or("every option has a value")?;
        match &*name {
            "--daemons" => given.size.machines = value.parse()?,
            "--outage" => given.size.outage = duration(&value)?,
            "--limit" => given.size.limit = value.trim_end_matches("/s").parse()?,
            "--capacity" => given.size.capacity = value.trim_end_matches("/s").parse()?,
            "--seed" => given.size.seed = value.parse()?,
            "--scene" => given.scenes.push(value),
            "--earlier" => given.earlier = value.parse()?,
            "--plot" => given.plots = Some(PathBuf::from(value)),
            _ => return Err(format!("there is no option {name}").into()),
        }
    }
    if given.size.machines == 0 || given.size.limit == 0 || given.size.capacity == 0 || given.earlier == 0 {
        return Err(
            "each fleet has machines, and the cloud takes at least one request and one entry a second".into(),
        );
    }
    Ok(given)
}

/// Reads `90m`, `8h` or `30s`.
fn duration(text: &str) -> Result<Duration, Failed> {
    let (number, unit) = text.split_at(text.len() - text.chars().last().map_or(0, char::len_utf8));
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => return Err(format!("`{text}` is no time; write it as 30s, 90m or 8h").into()),
    };
    let number: u64 = number.parse()?;
    Ok(Duration::from_secs(number.saturating_mul(seconds)))
}
