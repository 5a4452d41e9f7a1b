//! The settings of an installation: flags and environment, one table.

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Where everything is, and how to talk about it.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Settings")]
pub(crate) struct Settings {
    /// The database; its scheme says which kind
    #[arg(long, global = true, value_name = "URL", env = "BOTHWAYS_DATABASE", hide_env_values = true)]
    #[arg(default_value = "sqlite://bothways.db")]
    pub(crate) database: String,
    /// The queue; without a port a free one is taken
    #[arg(long, global = true, value_name = "URL", env = "BOTHWAYS_QUEUE", hide_env_values = true)]
    #[arg(default_value = "zeromq://127.0.0.1")]
    pub(crate) queue: String,
    /// A folder of documents (repeatable; in the variable, separated by commas)
    #[arg(long, global = true, value_name = "DIR", env = "BOTHWAYS_MAPPINGS", value_delimiter = ',')]
    #[arg(default_value = "mappings")]
    pub(crate) mappings: Vec<PathBuf>,
    /// Where the API, the operations API and the page listen
    #[arg(
        long,
        global = true,
        value_name = "ADDR",
        env = "BOTHWAYS_LISTEN",
        default_value = "127.0.0.1:7171"
    )]
    pub(crate) listen: SocketAddr,
    /// Where webhooks arrive; the one port that is ever exposed
    #[arg(long, global = true, value_name = "ADDR", env = "BOTHWAYS_HOOKS_LISTEN")]
    #[arg(default_value = "127.0.0.1:7172")]
    pub(crate) hooks_listen: SocketAddr,
    /// The address that people and services use from outside; never taken from a request
    #[arg(long, global = true, value_name = "URL", env = "BOTHWAYS_PUBLIC_URL")]
    pub(crate) public_url: Option<String>,
    /// A proxy in front ends TLS: listening elsewhere than on loopback is allowed
    #[arg(long, global = true, env = "BOTHWAYS_BEHIND_PROXY", value_parser = switch())]
    pub(crate) behind_proxy: bool,
    /// Accept webhooks that prove nothing about who sent them
    #[arg(long, global = true, env = "BOTHWAYS_ALLOW_UNSIGNED", value_parser = switch())]
    pub(crate) allow_unsigned: bool,
    /// How data is printed
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: Format,
    /// What is logged on stderr, such as debug or bothways_engine=debug
    #[arg(long, global = true, value_name = "FILTER", env = "BOTHWAYS_LOG")]
    pub(crate) log: Option<String>,
}

fn switch() -> clap::builder::BoolishValueParser {
    clap::builder::BoolishValueParser::new()
}

/// How data is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

impl Settings {
    /// Whether a person named the database, by flag or variable.
    pub(crate) fn names_database(matches: &ArgMatches) -> bool {
        !matches!(matches.value_source("database"), None | Some(ValueSource::DefaultValue))
    }

    /// Refuses addresses that anybody could reach without TLS in front (`RULES.md` S6).
    pub(crate) fn check_addresses(&self) -> Result<(), String> {
        for (flag, address) in [("--listen", self.listen), ("--hooks-listen", self.hooks_listen)] {
            if !address.ip().is_loopback() && !self.behind_proxy {
                return Err(format!(
                    "{flag} {address} can be reached from other machines, unencrypted. Put a proxy that ends TLS in front and \
                     say --behind-proxy, or listen on 127.0.0.1"
                ));
            }
        }
        Ok(())
    }
}
