//! `record`: reads of a service, kept without secrets, so that `test` can play them offline. Nothing is written at the service.

use crate::cli::RecordReads;
use crate::connections::Connection;
use crate::environment::Variables;
use crate::opened::{connect, http_port, read_project};
use crate::output::{Ended, Output, talk};
use crate::ports::{TokioTasks, tokio_ports};
use crate::private_file::PrivateFile;
use crate::recorded::check::check;
use crate::recorded::file::{Answer, Asked, path};
use crate::recorded::make::{About, Heard, cut, make};
use crate::recorded::play::{Player, Turn, resource};
use crate::settings::Settings;
use crate::vault::renewer;
use anyhow::{Context, bail};
use bothways_connector::{Outcome, Resource};
use bothways_diagnose::Checked;
use bothways_engine::{EngineError, Http, Purpose, Renewer};
use bothways_http::{Recorder, Scrubber};
use bothways_mapping::{Mapping, Project};
use bothways_model::{Observed, Secret};
use chrono::{Duration, SubsecRound, Utc};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Pages of each list: enough to see how one leads to the next.
const PAGES: usize = 2;

pub(super) async fn run(settings: &Settings, args: &RecordReads, out: Output) -> anyhow::Result<Ended> {
    let (project, checked) = read_project(settings)?;
    let wanted: Vec<&Arc<Mapping>> =
        project.mappings.iter().filter(|mapping| names(mapping, args.what.as_deref())).collect();
    if let (true, Some(name)) = (wanted.is_empty(), &args.what) {
        return Err(EngineError::NotFound(format!("mapping or connection `{name}`")).into());
    }
    let connections = connect(&project)?;
    let is_open = |mapping: &&Arc<Mapping>| connections.open.contains_key(&mapping.remote.connection);
    for left_out in &connections.left_out {
        if !wanted.iter().any(|mapping| mapping.remote.connection == left_out.name) {
            continue;
        }
        if args.what.is_some() || !wanted.iter().any(is_open) {
            bail!("{}", left_out.line());
        }
        talk(left_out.line());
    }
    let port: Arc<dyn Http> = Arc::new(http_port(&connections)?);
    let renewer = renewer(settings, &project, &tokio_ports(port.clone(), &TokioTasks::default())).await?;
    let folder = settings.mappings.first().context("--mappings names no folder")?;
    let (mut told, mut broken) = (Vec::new(), false);
    for mapping in wanted {
        let Some(open) = connections.open.get(&mapping.remote.connection) else { continue };
        let session =
            Session { project: &project, checked: &checked, mapping, open, port: &port, renewer: &renewer };
        let heard = session.hear(args.records).await.with_context(|| mapping.name.clone())?;
        let salt = args.anonymise.then(rand::random);
        let recording = make(&session.about()?, &heard, salt).with_context(|| mapping.name.clone())?;
        let file = path(folder, &mapping.name);
        std::fs::create_dir_all(file.parent().unwrap_or(folder))
            .with_context(|| file.display().to_string())?;
        let mut text = serde_json::to_string_pretty(&recording)?;
        text.push('\n');
        PrivateFile::write(&file, &text)?;
        let result = check(&project, mapping, &recording);
        broken |= !result.broken.is_empty();
        let shown = file.display().to_string();
        if out.is_json() {
            told.push(json!({ "mapping": mapping.name, "file": shown, "exchanges": recording.exchanges.len(), "anonymised": recording.anonymised,
                "broken": result.broken, "notes": result.notes }));
            continue;
        }
        let whose = if recording.anonymised {
            "texts replaced"
        } else {
            "with the values of these records; --anonymise replaces texts"
        };
        out.line(&format!("{}: {} exchanges in {shown}, {whose}", mapping.name, recording.exchanges.len()))?;
        result.broken.iter().chain(&result.notes).for_each(|line| talk(format!("{}: {line}", mapping.name)));
    }
    if out.is_json() {
        out.json(&told)?;
    } else {
        talk("`bothways test` plays them, offline");
    }
    Ok(Ended::waiting_if(broken))
}

fn names(mapping: &Mapping, what: Option<&str>) -> bool {
    what.is_none_or(|name| mapping.is_called(name) || mapping.remote.connection.as_str() == name)
}

/// One mapping while it is recorded.
struct Session<'a> {
    project: &'a Project,
    checked: &'a Checked,
    mapping: &'a Arc<Mapping>,
    open: &'a Connection,
    port: &'a Arc<dyn Http>,
    renewer: &'a Renewer,
}

impl Session<'_> {
    /// Asks for everything that a mapping reads: lists, single records, lookups, changes.
    async fn hear(&self, most: usize) -> anyhow::Result<Vec<Heard>> {
        let resource = resource(&*self.open.connector, self.mapping)?;
        let recorder = Recorder::new(self.port.clone());
        let mut scrubber = Scrubber::new(self.secrets(), words(&self.document()));
        let mut heard = Vec::new();
        let can = resource.capabilities().clone();
        let mut listed: Vec<Observed> = Vec::new();
        if can.list {
            let outcomes = self
                .ask(&recorder, &mut scrubber, &*resource, Asked::List { pages: PAGES }, &mut heard)
                .await?;
            listed = outcomes.into_iter().flat_map(records).collect();
        }
        // One that is there, and one that is gone if the service shows such.
        let shown = [listed.iter().find(|one| !one.gone), listed.iter().find(|one| one.gone)];
        for one in shown.into_iter().flatten().filter(|_| can.get) {
            self.ask(&recorder, &mut scrubber, &*resource, Asked::Get { id: one.id.to_string() }, &mut heard)
                .await?;
        }
        for find in &can.find {
            let value =
                listed.iter().filter(|one| !one.gone).find_map(|one| find.path.get(&one.body)?.as_str());
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                let asked = Asked::Find { path: find.path.to_string(), value: value.to_owned() };
                self.ask(&recorder, &mut scrubber, &*resource, asked, &mut heard).await?;
            }
        }
        if can.since {
            let changed = listed.iter().filter_map(|one| one.changed_at).min();
            let since = changed.unwrap_or_else(|| Utc::now() - Duration::days(1)).trunc_subsecs(0);
            self.ask(&recorder, &mut scrubber, &*resource, Asked::Since { since, pages: 1 }, &mut heard)
                .await?;
        }
        if let Some(spec) = self.mapping.resource() {
            heard.iter_mut().for_each(|one| cut(one, spec, most));
        }
        Ok(heard)
    }

    async fn ask(
        &self,
        recorder: &Recorder,
        scrubber: &mut Scrubber,
        resource: &dyn Resource,
        asked: Asked,
        heard: &mut Vec<Heard>,
    ) -> anyhow::Result<Vec<Outcome>> {
        let deadline = self.open.connector.limits().timeout;
        let outcomes = {
            let mut player = Player::new(resource, &asked);
            let mut turn = player.next(None)?;
            loop {
                match turn {
                    Turn::Over(outcomes) => break outcomes,
                    Turn::Renew(renewal) => {
                        let connection = &self.mapping.remote.connection;
                        self.renewer.renew_once(connection, &renewal, deadline).await?;
                        turn = player.next(None)?;
                    }
                    Turn::Send(request) => {
                        let answer = recorder
                            .send(&self.mapping.remote.connection, Purpose::Background, request, deadline)
                            .await?;
                        turn = player.next(Some(answer))?;
                    }
                }
            }
        };
        if let Some(failure) = outcomes.iter().find_map(|outcome| match outcome {
            Outcome::Failed(failure) => Some(failure),
            _ => None,
        }) {
            bail!("{}: the service answers: {}", asked.shown(), failure.message);
        }
        let calls = recorder.take();
        calls.iter().for_each(|call| scrubber.learn(&call.request));
        let answers = calls.iter().map(|call| Answer::of(&scrubber.clean(&call.response))).collect();
        heard.push(Heard { asked, answers });
        Ok(outcomes)
    }

    /// The secrets of the connection, each with what stands in its place.
    fn secrets(&self) -> Vec<(Secret, String)> {
        let variables = Variables::default();
        let connection = &self.mapping.remote.connection;
        let mut all = Vec::new();
        for var in self.mapping.connector.vars.iter().filter(|var| var.secret) {
            let Some(value) = variables.get(&var.env(connection.as_str())) else { continue };
            let parts =
                if var.list { value.split(',').map(str::trim).collect() } else { vec![value.as_str()] };
            all.extend(parts.into_iter().map(|part| (Secret::new(part), format!("recorded-{}", var.name))));
        }
        all
    }

    fn about(&self) -> anyhow::Result<About<'_>> {
        let variables = Variables::default();
        let connection = &self.mapping.remote.connection;
        let vars = self.mapping.connector.vars.iter();
        let plain = vars.filter(|var| !var.secret && !var.alternative && !var.webhook_only);
        let set =
            plain.filter_map(|var| Some((var.name.clone(), variables.get(&var.env(connection.as_str()))?)));
        let catalog = self.project.catalog_place(&self.mapping.catalog.name, "/catalog");
        let files = [Some(self.mapping.source.file.to_string()), catalog.map(|place| place.file.to_string())];
        let texts = files.into_iter().flatten().filter_map(|file| self.checked.source(&file));
        Ok(About {
            project: self.project,
            mapping: self.mapping,
            at: Utc::now().trunc_subsecs(0),
            variables: set.collect::<BTreeMap<_, _>>(),
            documents: texts.fold(self.document(), |all, text| format!("{all}\n{text}")),
        })
    }

    /// The connector's document.
    fn document(&self) -> String {
        self.checked.source(&self.mapping.connector.source.file).unwrap_or_default().to_owned()
    }
}

fn records(outcome: Outcome) -> Vec<Observed> {
    match outcome {
        Outcome::Page(page) => page.items,
        _ => Vec::new(),
    }
}

/// The words of a document: among them are the headers that it reads.
fn words(document: &str) -> Vec<String> {
    let words = document.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}
