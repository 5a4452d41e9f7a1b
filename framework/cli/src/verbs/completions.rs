//! `completions`: a completion script for a shell.

use crate::cli::{Cli, Completions};
use crate::output::{Ended, Output};
use clap::CommandFactory;

pub(super) fn run(args: &Completions, out: Output) -> anyhow::Result<Ended> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "bothways", &mut script);
    out.text(&String::from_utf8(script)?)?;
    Ok(Ended::Well)
}
