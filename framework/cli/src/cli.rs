//! What can be typed: every verb with its arguments. What a verb does is in `verbs/`.

mod making;

use crate::settings::Settings;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

pub(crate) use making::{
    AuthKind, Describe, New, NewCatalog, NewConnector, NewMapping, PagingKind, RecordReads, Test,
};

const AFTER_HELP: &str = "\
Exit codes: 0 done, 1 findings, something waits for a person, or refused, 2 could not run.
Stdout is data, stderr is talk. Every setting is a flag and a variable; a .env file in the working folder is read first.";

/// Keeps your SQL tables and the services around them in step, both ways.
#[derive(Debug, Parser)]
#[command(name = "bothways", version, about, after_help = AFTER_HELP, max_term_width = 100, disable_help_subcommand = true)]
pub(crate) struct Cli {
    /// Where everything is.
    #[command(flatten)]
    pub(crate) settings: Settings,
    /// What to do.
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Show everything in one process, with a sandbox Stripe and Salesforce of its own; touches nothing of yours
    Demo,
    /// Run the engine, the API, the page and the webhook port
    Run(Run),
    /// Check the documents, and with a database how they fit it
    Validate,
    /// Say what a finding's code means and what to do about it
    ExplainCode(ExplainCode),
    /// Print or write the JSON Schemas that let an editor complete the documents
    Schema(Schema),
    /// Say what each resource of a connector can do, and what follows for a mapping
    Describe(Describe),
    /// Write a new document that validates, with the schemas for an editor beside it
    #[command(subcommand)]
    New(New),
    /// Say what would happen on both sides, field by field, without writing anything
    Plan(Plan),
    /// Let a mapping carry out what its plan says, or let happen what a brake withholds
    Approve(Approve),
    /// Carry a saved plan out: exactly that, and nothing that has changed since
    Apply(Apply),
    /// Say what brakes withhold
    Brakes(Brakes),
    /// Bring both sides in step now, by one complete pass over each
    Sync(OneMapping),
    /// Say everything about one record: both sides, what was sent, what would happen, and which line says so
    Explain(Record),
    /// Say how every mapping stands
    Status,
    /// See and decide what waits for a person
    #[command(subcommand)]
    Parked(Parked),
    /// Stop remote calls for everything, a connection, a mapping or a record
    Pause(Pause),
    /// Take up again what was paused
    Resume(Resume),
    /// Say that a row and a remote record are the same thing
    Link(Link),
    /// Take a link apart; neither side is deleted
    Unlink(Record),
    /// List what was written, newest first
    History(History),
    /// List what people did, newest first
    Audit(Audit),
    /// Put back what sync wrote, where nobody has changed it since
    Revert(Revert),
    /// Run each mapping's own cases, the laws of its fields on generated values, and what was recorded; offline
    Test(Test),
    /// Keep reads of a service without secrets, for `test` to play; writes nothing there
    Record(RecordReads),
    /// Install what Bothways needs in a database that is not empty, or take it out again
    Migrate(Migrate),
    /// Erase what is remembered of a person's record; it must be gone from both sides
    Purge(Purge),
    /// Let a connection in at its service, in your browser; what comes of it is kept encrypted
    Login(Login),
    /// Make, list and revoke the tokens of the API and the page
    #[command(subcommand)]
    Token(Token),
    /// Print a completion script for a shell
    Completions(Completions),
}

/// `run`.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Approve mappings that nobody has approved yet
    #[arg(long)]
    pub(crate) approve: bool,
}

/// `login`.
#[derive(Debug, Args)]
pub(crate) struct Login {
    /// The connection
    pub(crate) connection: String,
    /// The port on 127.0.0.1 that the service sends your browser back to; a free one is taken, unless the service must know it before
    #[arg(long, value_name = "PORT")]
    pub(crate) port: Option<u16>,
}

/// `approve`.
#[derive(Debug, Args)]
pub(crate) struct Approve {
    /// A mapping (needed only if there are several), or a brake such as brake-1
    #[arg(value_name = "MAPPING|BRAKE")]
    pub(crate) what: Option<String>,
    /// For a mapping: the digest that `plan` printed; refused if it would do anything else by now. A changed mapping is approved by it alone
    #[arg(long, value_name = "DIGEST", conflicts_with = "set")]
    pub(crate) digest: Option<String>,
    /// For a brake: exactly this set, as `bothways brakes BRAKE` names it; refused if it is another one by now
    #[arg(long, value_name = "DIGEST")]
    pub(crate) set: Option<String>,
    /// How long what the brake withholds may be done, such as 1h, which is also usual
    #[arg(long, value_name = "TIME")]
    pub(crate) expires: Option<String>,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT")]
    pub(crate) why: Option<String>,
}

/// `brakes`.
#[derive(Debug, Args)]
pub(crate) struct Brakes {
    /// One of them, such as brake-1, with the records that it withholds
    pub(crate) brake: Option<String>,
    /// At most this many records
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(crate) limit: usize,
}

/// `explain-code`.
#[derive(Debug, Args)]
pub(crate) struct ExplainCode {
    /// The code, such as M204; none lists them all
    pub(crate) code: Option<String>,
}

/// `schema`.
#[derive(Debug, Args)]
pub(crate) struct Schema {
    /// Which document's
    #[arg(default_value = "bothways")]
    pub(crate) document: DocumentKind,
    /// Write all of them into this folder and print the line that binds a document to its schema
    #[arg(long, value_name = "DIR")]
    pub(crate) write: Option<PathBuf>,
    /// Complete the names of the catalogs and connectors that are there
    #[arg(long)]
    pub(crate) workspace: bool,
}

/// The documents that have a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DocumentKind {
    /// How to talk to an API
    Connector,
    /// What a local table holds
    Catalog,
    /// Which field is which
    Mapping,
    /// Any of the three
    Bothways,
}

/// `plan`.
#[derive(Debug, Args)]
pub(crate) struct Plan {
    /// Only this mapping
    pub(crate) mapping: Option<String>,
    /// Save the plan of one mapping in this file, for `apply`
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Let the file show values of records, not only hashes of them
    #[arg(long, requires = "out")]
    pub(crate) values: bool,
}

/// `apply`.
#[derive(Debug, Args)]
pub(crate) struct Apply {
    /// The file that `plan --out` saved
    pub(crate) file: PathBuf,
}

/// Verbs that work on one mapping or on all.
#[derive(Debug, Args)]
pub(crate) struct OneMapping {
    /// Only this mapping
    pub(crate) mapping: Option<String>,
}

/// Verbs that work on one record.
#[derive(Debug, Args)]
pub(crate) struct Record {
    /// Optionally the mapping, then the local or the remote id
    #[arg(value_name = "[MAPPING] ID", num_args = 1..=2, required = true)]
    words: Vec<String>,
}

impl Record {
    /// The id.
    pub(crate) fn id(&self) -> &str {
        self.words.last().map_or("", String::as_str)
    }

    /// The mapping, if one was named.
    pub(crate) fn mapping(&self) -> Option<&str> {
        match self.words.as_slice() {
            [mapping, _] => Some(mapping),
            _ => None,
        }
    }
}

/// `parked`.
#[derive(Debug, Subcommand)]
pub(crate) enum Parked {
    /// List what waits, oldest first
    List(ParkedList),
    /// Show one item with the values of both sides
    Show(Item),
    /// Decide: which value to keep, or what to do about a delete
    Resolve(Resolve),
    /// Try it again; it is planned afresh
    Replay(Item),
    /// Drop it; nothing is written on either side
    Dismiss(Item),
}

/// `parked list`.
#[derive(Debug, Args)]
pub(crate) struct ParkedList {
    /// Only this mapping
    #[arg(long)]
    pub(crate) mapping: Option<String>,
    /// Only this reason, such as conflict, delete, error or ambiguous
    #[arg(long)]
    pub(crate) reason: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 100)]
    pub(crate) limit: usize,
}

/// One item by its id.
#[derive(Debug, Args)]
pub(crate) struct Item {
    /// The item, as `parked list` names it
    pub(crate) id: String,
}

/// `parked resolve`.
#[derive(Debug, Args)]
pub(crate) struct Resolve {
    /// The item, as `parked list` names it
    #[arg(required_unless_present = "all")]
    pub(crate) id: Option<String>,
    /// All conflicts of a mapping at once, instead of one item; without --digest it says how many there are and changes nothing
    #[arg(long, conflicts_with_all = ["id", "delete"])]
    pub(crate) all: bool,
    /// With --all: of this mapping
    #[arg(long, requires = "all")]
    pub(crate) mapping: Option<String>,
    /// Keep this side's value, in all fields in conflict
    #[arg(long, value_name = "SIDE", conflicts_with = "delete", required_unless_present_any = ["fields", "delete", "all"])]
    pub(crate) keep: Option<KeepSide>,
    /// Decide one field: name=local, name=remote or name=value:TEXT (repeatable); with --all only the name of the one that --keep is about
    #[arg(long = "field", value_name = "NAME[=CHOICE]", conflicts_with = "delete")]
    pub(crate) fields: Vec<String>,
    /// Decide about a delete: carry it to the other side, keep the other record, or create the deleted one again
    #[arg(long, value_name = "WHAT")]
    pub(crate) delete: Option<DeleteWord>,
    /// The digest that `parked show` printed, or the same command without it: refused if anything moved since
    #[arg(long, required_unless_present = "all")]
    pub(crate) digest: Option<String>,
}

/// A side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeepSide {
    /// The database's value
    Local,
    /// The service's value
    Remote,
}

/// What to do about a delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DeleteWord {
    /// Delete on the other side too
    Carry,
    /// Leave the other side alone and close the link
    Keep,
    /// Create the deleted remote record again from the row
    Recreate,
}

/// `pause`.
#[derive(Debug, Args)]
pub(crate) struct Pause {
    /// What to pause
    #[command(subcommand)]
    pub(crate) scope: Scope,
    /// Why, for whoever looks at `status`
    #[arg(long, global = true, default_value = "paused by a person")]
    pub(crate) reason: String,
}

/// `resume`.
#[derive(Debug, Args)]
pub(crate) struct Resume {
    /// What to resume
    #[command(subcommand)]
    pub(crate) scope: Scope,
}

/// What is paused or resumed.
#[derive(Debug, Subcommand)]
pub(crate) enum Scope {
    /// Everything
    All,
    /// All mappings of one connection
    Connection {
        /// Its name
        name: String,
    },
    /// One mapping
    Mapping {
        /// Its name
        name: String,
    },
    /// One record
    Record(Record),
}

/// `link`.
#[derive(Debug, Args)]
pub(crate) struct Link {
    /// The local id, then the remote id
    #[arg(value_names = ["LOCAL", "REMOTE"], num_args = 2, required_unless_present = "from", conflicts_with = "from")]
    pub(crate) ids: Vec<String>,
    /// A CSV file with the columns local and remote (- is stdin)
    #[arg(long, value_name = "CSV")]
    pub(crate) from: Option<PathBuf>,
    /// The mapping, if there are several
    #[arg(long)]
    pub(crate) mapping: Option<String>,
}

/// `history`.
#[derive(Debug, Args)]
pub(crate) struct History {
    /// Only this mapping
    #[arg(long)]
    pub(crate) mapping: Option<String>,
    /// Only this row
    #[arg(long, value_name = "ID")]
    pub(crate) local: Option<String>,
    /// Only this remote record
    #[arg(long, value_name = "ID")]
    pub(crate) remote: Option<String>,
    /// Only this: create, update, delete, link, unlink, conflict, resolved, echo, altered
    #[arg(long, value_name = "WHAT")]
    pub(crate) op: Option<String>,
    /// Only this full pass, or this carrying out of a plan
    #[arg(long, value_name = "ID")]
    pub(crate) pass: Option<String>,
    /// Only entries before this number
    #[arg(long, value_name = "NUMBER")]
    pub(crate) before: Option<i64>,
    /// At most so many
    #[arg(long, default_value_t = 50)]
    pub(crate) limit: usize,
}

/// `audit`.
#[derive(Debug, Args)]
pub(crate) struct Audit {
    /// At most so many
    #[arg(long, default_value_t = 50)]
    pub(crate) limit: usize,
}

/// `revert`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub(crate) struct Revert {
    /// Everything that a full pass or the carrying out of a plan wrote, as `history` names it
    #[arg(long, value_name = "ID", group = "what")]
    pub(crate) pass: Option<String>,
    /// The last thing that sync wrote to a row, by its local or remote id
    #[arg(long, value_name = "ID", group = "what")]
    pub(crate) record: Option<String>,
    /// Of the record: this entry of the history, on whichever side it wrote
    #[arg(long, value_name = "NUMBER", conflicts_with = "pass")]
    pub(crate) entry: Option<i64>,
    /// Of the record: only in this mapping
    #[arg(long, conflicts_with = "pass")]
    pub(crate) mapping: Option<String>,
    /// Only say what would be put back
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// `migrate`.
#[derive(Debug, Args)]
pub(crate) struct Migrate {
    /// Take everything out again: triggers, links, history, all of it; your tables stay as they are
    #[arg(long)]
    pub(crate) remove: bool,
}

/// `purge`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("subject").required(true).multiple(true))]
pub(crate) struct Purge {
    /// Only this mapping
    pub(crate) mapping: Option<String>,
    /// The row's id
    #[arg(long, value_name = "ID", group = "subject")]
    pub(crate) local: Option<String>,
    /// The remote record's id
    #[arg(long, value_name = "ID", group = "subject")]
    pub(crate) remote: Option<String>,
}

/// `token`.
#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    /// Make a token and show its secret once
    New(TokenNew),
    /// List the tokens, without their secrets
    List,
    /// Make a token useless at once
    Revoke {
        /// Its name
        name: String,
    },
}

/// `token new`.
#[derive(Debug, Args)]
pub(crate) struct TokenNew {
    /// What it is for
    pub(crate) name: String,
    /// What it may do; each includes those before it
    #[arg(long, default_value = "operate")]
    pub(crate) scope: ScopeWord,
    /// When it ends by itself, such as 30d
    #[arg(long, value_name = "TIME")]
    pub(crate) expires: Option<String>,
}

/// What a token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ScopeWord {
    /// Look
    Read,
    /// Edit records, resolve, replay, pause
    Operate,
    /// Approve plans
    Approve,
    /// Make and revoke tokens
    Admin,
}

/// `completions`.
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_record_is_named_with_or_without_its_mapping() {
        let read = |args: &[&str]| match Cli::parse_from(args).verb {
            Verb::Explain(record) => (record.mapping().map(str::to_owned), record.id().to_owned()),
            other => panic!("{other:?}"),
        };
        assert_eq!(read(&["bothways", "explain", "7"]), (None, "7".into()));
        assert_eq!(read(&["bothways", "explain", "m", "cus_1"]), (Some("m".into()), "cus_1".into()));
    }

    #[test]
    fn a_revert_is_of_one_thing() {
        let read = |args: &[&str]| Cli::try_parse_from(args).is_ok();
        assert!(!read(&["bothways", "revert"]));
        assert!(!read(&["bothways", "revert", "--pass", "p", "--record", "7"]));
        assert!(!read(&["bothways", "revert", "--pass", "p", "--entry", "7"]));
        assert!(read(&[
            "bothways",
            "revert",
            "--record",
            "7",
            "--entry",
            "7",
            "--mapping",
            "m",
            "--dry-run"
        ]));
    }

    #[test]
    fn a_decision_is_asked_for_and_does_not_mix() {
        let refused = |args: &[&str]| Cli::try_parse_from(args).is_err();
        assert!(refused(&["bothways", "parked", "resolve", "7"]));
        assert!(refused(&["bothways", "parked", "resolve", "7", "--keep", "local", "--delete", "carry"]));
        let shown = ["bothways", "parked", "resolve", "7", "--digest", "d"];
        let with = |args: &[&'static str]| refused(&[&shown[..], args].concat());
        assert!(!with(&["--keep", "local", "--field", "a=remote"]));
        assert!(!with(&["--delete", "carry"]));
        assert!(refused(&["bothways", "parked", "resolve", "7", "--delete", "carry"]), "of what was shown");
    }
}
