//! `plan`: what would happen on both sides, field by field, without writing anything anywhere. It works before anything is installed.

use super::explain::action_word;
use crate::cli::Plan;
use crate::connections::Connections;
use crate::database::{Database, State};
use crate::opened::{catalogs, connect, http_port, person, read_project, runnable};
use crate::output::{Ended, Output, count, talk};
use crate::ports::{TokioTasks, tokio_ports};
use crate::private_file::PrivateFile;
use crate::scratch::InFiles;
use crate::settings::Settings;
use crate::trouble::told;
use crate::vault::renewer_over;
use anyhow::{Context, bail};
use bothways_engine::decide::Verdict;
use bothways_engine::{
    EngineError, Installed, Loaded, NotInstalled, PairRuntime, PlanAccount, PlanAction, PlanItem, PlanReads,
    PlanSaver, PlanSink, PlanSource, PlanTotals, ReadOnly, RetryPolicy, Scratches, plan_into, show_value,
    spec_of,
};
use bothways_mapping::Project;
use bothways_model::{Mode, PairId, Secret};
use bothways_sql::Sql;
use bothways_store::{Credentials, MemoryStore, Pair, Store};
use serde_json::json;
use std::fs::File;
use std::io::BufWriter;
use std::sync::Arc;
use std::time::Duration;

/// The number of a pair that is not stored: no link and no work can be its.
const NO_PAIR: PairId = PairId(-1);

/// Somebody watches: after some seconds it is better to say what is wrong than to go on trying.
const PATIENCE: RetryPolicy =
    RetryPolicy { attempts: 5, first: Duration::from_millis(500), max: Duration::from_secs(5) };

pub(super) async fn run(settings: &Settings, args: &Plan, out: Output) -> anyhow::Result<Ended> {
    let (project, _) = read_project(settings)?;
    let connections = connect(&project)?;
    let wanted = wanted(&project, &connections, args.mapping.as_deref())?;
    if args.out.is_some() && wanted.len() != 1 {
        let names: Vec<&str> = wanted.iter().map(|loaded| loaded.mapping.name.as_str()).collect();
        bail!("--out saves the plan of one mapping: name it ({})", names.join(", "));
    }
    let database = Database::parse(&settings.database)?;
    let database = OpenDatabase::open(&database, &project).await?;
    let ports = tokio_ports(Arc::new(http_port(&connections)?), &TokioTasks::default());
    let renewer = renewer_over(&ports, database.credentials())?;
    let mut waits = false;
    for loaded in &wanted {
        let scratch = InFiles.scratch().await?;
        let source = PlanSource {
            pair: Arc::new(PairRuntime::bind(database.pair(loaded).await?, loaded)?),
            reads: database.reads(loaded),
            remote: ReadOnly::new(&ports, PATIENCE, renewer.clone()),
            scratch: scratch.keys.clone(),
            clock: ports.clock.clone(),
        };
        let name = &loaded.mapping.name;
        let mut printer = Printer { name, out, saver: None, printed: Ok(()) };
        let saved = match &args.out {
            Some(file) => {
                let salt = format!("{:032x}", rand::random::<u128>());
                let secret = database.secret().await?;
                if secret.is_none() && !args.values {
                    bail!(
                        "without values a plan file holds hashes keyed by this database's secret, and nothing is installed yet: \
                         `bothways migrate` first, or say --values and keep the file to yourself"
                    );
                }
                let (private, writer) = PrivateFile::begin(file)?;
                printer.saver = Some(PlanSaver::new(writer, &source, &person(), args.values, secret, salt));
                Some((file, private))
            }
            None => None,
        };
        let planned = plan_into(&source, &mut printer).await;
        let totals = planned.map_err(|error| told(error, &loaded.mapping, &*loaded.connector))?;
        printer.printed?;
        if let (Some((file, private)), Some(saver)) = (saved, printer.saver) {
            let shown = file.display();
            private.end(saver.end(&totals).with_context(|| format!("the file {shown}"))?)?;
            talk(format!("saved: `bothways apply {shown}` carries out exactly this"));
        }
        waits |= totals.conflicts + totals.ambiguous + totals.ask + totals.unreadable > 0;
        if out.is_json() {
            out.json_line(&json!({ "mapping": name, "totals": totals }))?;
        } else {
            sum_up(name, &totals, out)?;
            say_how(name, &source.pair, &totals);
        }
    }
    Ok(Ended::waiting_if(waits || !connections.left_out.is_empty()))
}

/// How to approve what is not approved.
fn say_how(name: &str, pair: &PairRuntime, totals: &PlanTotals) {
    let approve = format!("`bothways approve {name} --digest {}`", totals.digest);
    match &pair.stored().approval {
        Some(approval) if approval.digest == pair.digest => {}
        Some(_) => talk(format!("{name} has changed since it was approved; {approve} approves the change")),
        None => talk(format!("{name} is not approved; {approve} approves this")),
    }
}

/// Prints items as they come, and saves them if a file is wanted.
struct Printer<'p> {
    name: &'p str,
    out: Output,
    saver: Option<PlanSaver<BufWriter<File>>>,
    printed: anyhow::Result<()>,
}

impl PlanSink for Printer<'_> {
    fn begin(&mut self, account: &PlanAccount) {
        if let Some(saver) = &mut self.saver {
            saver.begin(account);
        }
    }

    fn item(&mut self, item: PlanItem) {
        if self.printed.is_ok() {
            self.printed = print(self.name, &item, self.out);
        }
        if let Some(saver) = &mut self.saver {
            saver.item(item);
        }
    }
}

/// The mappings to plan; those that cannot run are named.
fn wanted(
    project: &Project,
    connections: &Connections,
    name: Option<&str>,
) -> Result<Vec<Loaded>, EngineError> {
    for left_out in &connections.left_out {
        talk(left_out.line());
    }
    let mut all = runnable(project, connections);
    if let Some(name) = name {
        all.retain(|loaded| loaded.mapping.is_called(name));
        if all.is_empty() {
            return Err(EngineError::NotFound(format!("mapping `{name}` that can run")));
        }
    }
    Ok(all)
}

/// The database as it is; nothing is made or changed.
struct OpenDatabase {
    /// The store, if anything is installed.
    installed: Option<Arc<dyn Store>>,
    /// The rows, if there is a database.
    rows: Option<Arc<Sql>>,
    /// Catalogs whose table does not exist yet.
    tables_missing: Vec<String>,
    /// What stands for tables that do not exist.
    nothing: Arc<MemoryStore>,
}

impl OpenDatabase {
    async fn open(database: &Database, project: &Project) -> anyhow::Result<Self> {
        let all = catalogs(project);
        let nothing = Arc::new(MemoryStore::new(all.iter().map(|catalog| (**catalog).clone())));
        let state = database.state().await?;
        if state == State::Missing {
            let tables_missing = all.iter().map(|catalog| catalog.name.clone()).collect();
            return Ok(Self { installed: None, rows: None, tables_missing, nothing });
        }
        let sql = Arc::new(database.open(&all).await?);
        let installed = (state == State::Installed).then(|| sql.clone() as Arc<dyn Store>);
        Ok(Self { installed, tables_missing: sql.missing_tables().await?, rows: Some(sql), nothing })
    }

    /// The stored pair, or one that stands for it.
    async fn pair(&self, loaded: &Loaded) -> anyhow::Result<Pair> {
        let spec = spec_of(&loaded.mapping, &loaded.connection);
        let stored = match &self.installed {
            Some(store) => store.pairs().await?,
            None => Vec::new(),
        };
        let is_it = |pair: &Pair| {
            pair.spec.catalog == spec.catalog
                && pair.spec.connection == spec.connection
                && pair.spec.resource == spec.resource
        };
        Ok(stored.into_iter().find(is_it).unwrap_or(Pair {
            id: NO_PAIR,
            spec,
            account: None,
            mode: Mode::Unknown,
            approval: None,
            walked_at: None,
            passed_at: None,
            retired_at: None,
        }))
    }

    /// Where rotating tokens are kept, if anything is installed.
    fn credentials(&self) -> Option<Arc<dyn Credentials>> {
        self.installed.clone().map(|store| store as Arc<dyn Credentials>)
    }

    /// The installation's secret, if anything is installed.
    async fn secret(&self) -> anyhow::Result<Option<Secret>> {
        match &self.installed {
            Some(store) => Ok(Some(store.secret().await?)),
            None => Ok(None),
        }
    }

    fn reads(&self, loaded: &Loaded) -> Arc<dyn PlanReads> {
        if self.tables_missing.contains(&loaded.mapping.catalog.name) {
            return Arc::new(NotInstalled::new(self.nothing.clone()));
        }
        match (&self.installed, &self.rows) {
            (Some(store), _) => Arc::new(Installed::new(store.clone())),
            (None, Some(rows)) => Arc::new(NotInstalled::new(rows.clone())),
            (None, None) => Arc::new(NotInstalled::new(self.nothing.clone())),
        }
    }
}

fn print(mapping: &str, item: &PlanItem, out: Output) -> anyhow::Result<()> {
    if out.is_json() {
        return out.json_line(&json!({ "mapping": mapping, "item": item }));
    }
    let sides = match (&item.local, &item.remote) {
        (Some(local), Some(remote)) => format!("{local} <-> {remote}"),
        (Some(local), None) => local.clone(),
        (None, Some(remote)) => remote.clone(),
        (None, None) => String::new(),
    };
    let why = if item.why.is_empty() { String::new() } else { format!(": {}", item.why) };
    out.line(&format!("{:<14} {sides}{why}", item.action.as_str()))?;
    for verdict in &item.fields {
        out.line(&format!("    {}", field(verdict, item.action)))?;
    }
    Ok(())
}

fn field(verdict: &Verdict, action: PlanAction) -> String {
    let (local, remote) = (show_value(verdict.local.as_ref()), show_value(verdict.remote.as_ref()));
    match action {
        PlanAction::CreateLocal => format!("{}: {remote}", verdict.label),
        PlanAction::CreateRemote => format!("{}: {local}", verdict.label),
        _ => format!(
            "{}: local {local}, remote {remote}: {}; {} (rule {})",
            verdict.label,
            action_word(&verdict.action),
            verdict.why,
            verdict.rule
        ),
    }
}

fn sum_up(mapping: &str, totals: &PlanTotals, out: Output) -> anyhow::Result<()> {
    let all = [
        (totals.link, "to link", "to link"),
        (totals.link_differing, "of them differing", "of them differing"),
        (totals.create_local, "row to create", "rows to create"),
        (totals.create_remote, "remote record to create", "remote records to create"),
        (totals.update_local, "row to change", "rows to change"),
        (totals.update_remote, "remote record to change", "remote records to change"),
        (totals.delete_local, "row to delete", "rows to delete"),
        (totals.delete_remote, "remote record to delete", "remote records to delete"),
        (totals.close, "link to close", "links to close"),
        (totals.conflicts, "with conflicts", "with conflicts"),
        (totals.ambiguous, "ambiguous group", "ambiguous groups"),
        (totals.ask, "to be decided by a person", "to be decided by a person"),
        (totals.unreadable, "unreadable row", "unreadable rows"),
    ];
    let parts: Vec<String> =
        all.iter().filter(|(n, _, _)| *n > 0).map(|(n, one, many)| count(*n, one, many)).collect();
    let parts = if parts.is_empty() { "nothing to do".to_owned() } else { parts.join(", ") };
    out.line(&format!(
        "{mapping}: {}, {}, {} in step; {parts}",
        count(totals.remote, "remote record", "remote records"),
        count(totals.local, "row", "rows"),
        totals.in_step
    ))?;
    talk(format!(
        "carrying it out takes {} and {} beside one walk; this plan made {}, all of them reads; digest {}",
        count(totals.reads, "read", "reads"),
        count(totals.writes, "write", "writes"),
        count(totals.asked, "request", "requests"),
        totals.digest
    ));
    Ok(())
}
