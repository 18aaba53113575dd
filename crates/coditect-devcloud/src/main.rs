//! The program: a dev cloud in the foreground until SIGINT or SIGTERM.

use std::error::Error as _;
use std::io::{self, Write};
use std::process::ExitCode;
use std::thread;

use clap::{CommandFactory as _, Parser as _};
use coditect_devcloud::{DevCloud, Options, dev_token};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tokio::sync::watch;
use tracing::level_filters::LevelFilter;

use crate::args::Args;

mod args;

/// Wrong usage, as `sysexits.h` has it.
const USAGE: u8 = 64;
/// A fault of the program or its surroundings.
const FAULT: u8 = 70;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let printed = error.print();
            let wanted = !error.use_stderr() && printed.is_ok();
            return if wanted { ExitCode::SUCCESS } else { ExitCode::from(USAGE) };
        }
    };
    match carry_out(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { code, text }) => {
            // Where even stderr is gone, the exit code has to do.
            writeln!(io::stderr(), "coditect-devcloud: {text}").ok();
            ExitCode::from(code)
        }
    }
}

struct Failure {
    code: u8,
    text: String,
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self { code: FAULT, text: error.to_string() }
    }
}

impl From<coditect_devcloud::Error> for Failure {
    fn from(error: coditect_devcloud::Error) -> Self {
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        Self { code: FAULT, text: format!("failed to {error}{cause}") }
    }
}

fn carry_out(args: Args) -> Result<(), Failure> {
    if let Some(tenant) = args.print_token {
        writeln!(io::stdout(), "{}", dev_token(&tenant.unwrap_or(args.tenant), None))?;
        return Ok(());
    }
    if args.man {
        return Ok(manual_page(&mut io::stdout().lock())?);
    }
    if !args.listen.ip().is_loopback() && !args.allow_any_address {
        let text = format!(
            "{} can be reached from other machines, and anybody may write a token; \
             listen on 127.0.0.1, or add --allow-any-address",
            args.listen
        );
        return Err(Failure { code: USAGE, text });
    }
    let level = if args.verbose { LevelFilter::DEBUG } else { LevelFilter::WARN };
    tracing_subscriber::fmt().with_max_level(level).with_writer(io::stderr).init();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(args))
}

/// The manual page, made from the flags themselves.
fn manual_page(out: &mut impl Write) -> io::Result<()> {
    clap_mangen::Man::new(Args::command())
        .manual("coditect-sync")
        .source(concat!("coditect-sync ", env!("CARGO_PKG_VERSION")))
        .render(out)
}

/// Serves until a signal comes.
async fn serve(args: Args) -> Result<(), Failure> {
    // Signals are caught before anything is said, so that who reads the greeting may send one.
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let handle = signals.handle();
    let (stop, mut stopped) = watch::channel(false);
    let listening = thread::Builder::new().name("signals".to_owned()).spawn(move || {
        // One is enough: the sender goes with the thread, and that says stop.
        signals.forever().next();
        drop(stop);
    })?;

    let file = args.database.as_ref().map_or_else(|| "memory".to_owned(), |file| file.display().to_string());
    let cloud = DevCloud::start(Options {
        listen: args.listen,
        database: args.database,
        opaque_tenant: Some(args.tenant.clone()),
    })
    .await?;
    greet(&cloud.url(), &args.tenant, &file)?;
    // The sender never sends: an error means that it is gone.
    stopped.changed().await.unwrap_or_default();
    cloud.stop().await?;

    handle.close();
    listening
        .join()
        .map_err(|_panic| Failure { code: FAULT, text: "failed to end the signals' thread".to_owned() })
}

fn greet(url: &str, tenant: &str, kept_in: &str) -> io::Result<()> {
    let token = dev_token(tenant, None);
    let machine = "00000000-0000-4000-8000-000000000001";
    let project = "00000000-0000-4000-8000-000000000002";
    let mut out = io::stdout().lock();
    writeln!(out, "Dev cloud at {url}, kept in {kept_in}. Ctrl-C stops it.")?;
    writeln!(out, "Token of tenant {tenant}: {token}")?;
    writeln!(out, "Try it:")?;
    writeln!(out, "  curl -s {url}/api/v1/projects/register/ \\")?;
    writeln!(out, "    -H 'Authorization: Bearer {token}' -H 'X-Machine-UUID: {machine}' \\")?;
    writeln!(out, "    -H 'Content-Type: application/json' \\")?;
    writeln!(
        out,
        "    -d '{{\"local_project_uuid\": \"{project}\", \"project_name\": \"example\", \
         \"machine_uuid\": \"{machine}\", \"root_path\": \"/tmp/example\"}}'"
    )?;
    writeln!(out, "  curl -s {url}/_ledger")?;
    out.flush()
}
