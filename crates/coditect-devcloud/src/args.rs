//! The program's flags.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;

/// A small real cloud on this machine, for trying out, developing and testing.
///
/// It speaks the project registration API, keeps what it is told in SQLite, and fails on demand:
/// see `GET` and `PUT /_faults`, `GET /_ledger`, `GET /_ledger/requests` and `GET /_projects`.
#[derive(Clone, PartialEq, Eq, Debug, Parser)]
#[command(name = "coditect-devcloud", version)]
pub(crate) struct Args {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8787")]
    pub(crate) listen: SocketAddr,

    /// Listen where other machines can reach it, although anybody may write a token
    #[arg(long)]
    pub(crate) allow_any_address: bool,

    /// Keep everything in this file instead of in memory
    #[arg(long, value_name = "FILE")]
    pub(crate) database: Option<PathBuf>,

    /// The tenant of the printed token, and of tokens that are not a JWT
    #[arg(long, value_name = "TENANT", default_value = "dev")]
    pub(crate) tenant: String,

    /// Print a token of this tenant and exit
    #[arg(long, value_name = "TENANT", num_args = 0..=1)]
    #[expect(clippy::option_option, reason = "the flag may come without a value")]
    pub(crate) print_token: Option<Option<String>>,

    /// Print the manual page and exit
    #[arg(long)]
    pub(crate) man: bool,

    /// Log every connection that ends early
    #[arg(long, short)]
    pub(crate) verbose: bool,
}
