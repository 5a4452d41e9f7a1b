//! `new mapping`: a catalog and a resource paired by names and types. It says only what the resource can do; what is not sure is a
//! comment, and the reason stands beside it.

use super::pairing::{Proposal, kind_of, pair};
use super::sample::{Place, of_documents, of_file};
use super::{Draft, Lines, yaml_text};
use crate::cli::NewMapping;
use crate::database::Database;
use crate::opened::read_project;
use crate::settings::Settings;
use crate::unknown_name::unknown_name;
use anyhow::bail;
use bothways_diagnose::modeline;
use bothways_mapping::connector::ResourceSpec;
use bothways_model::{Capabilities, Catalog, CatalogField, FieldType, KeyMaker, Segment, SingularPath};

/// So many places of the sample that nothing pairs with are listed.
const MOST_OTHERS: usize = 40;

pub(super) async fn draft(settings: &Settings, args: &NewMapping) -> anyhow::Result<Draft> {
    let (project, _) = read_project(settings)?;
    let catalog = match project.catalogs.get(&args.local) {
        Some(catalog) => catalog,
        None => return Err(unknown_name("catalog", &args.local, project.catalogs.keys())),
    };
    let Some((connector, resource)) = args.remote.split_once('/') else {
        bail!("--remote is CONNECTOR/RESOURCE, for example stripe/customers");
    };
    let connector = match project.connectors.get(connector) {
        Some(connector) => connector,
        None => return Err(unknown_name("connector", connector, project.connectors.keys())),
    };
    let resource = match connector.resources.get(resource) {
        Some(resource) => resource,
        None => return Err(unknown_name("resource", resource, connector.resources.keys())),
    };
    let places = match &args.sample {
        Some(file) => of_file(file, connector, resource)?,
        None => of_documents(&project, connector, resource),
    };
    let with = with(args, resource)?;
    let written = Written {
        args,
        catalog,
        resource,
        places: &places,
        can: connector.capabilities(&resource.name),
        with,
        computed: computed(settings, catalog).await?,
    };
    let text = written.text()?;
    let sample = "look at each pair, and at what is commented out".to_owned();
    let next = vec![
        sample,
        "bothways validate".into(),
        format!(
            "bothways test {}               # its laws; its own cases go into cases/{}.yaml",
            args.name, args.name
        ),
        format!("bothways plan {}               # what would happen; nothing is written", args.name),
    ];
    Ok(Draft { name: args.name.clone(), text, next })
}

/// The values of the resource's parameters, each once.
fn with(args: &NewMapping, resource: &ResourceSpec) -> anyhow::Result<Vec<(String, String)>> {
    let mut given = Vec::new();
    for pair in &args.with {
        match pair.split_once('=') {
            Some((name, value)) if resource.params.iter().any(|param| param == name) => {
                given.push((name.to_owned(), value.to_owned()));
            }
            _ => bail!(
                "--with {pair}: expected NAME=VALUE with one of the resource's parameters ({})",
                resource.params.join(", ")
            ),
        }
    }
    match resource.params.iter().find(|param| !given.iter().any(|(name, _)| name == *param)) {
        Some(missing) => bail!("{} needs --with {missing}=VALUE", args.remote),
        None => Ok(given),
    }
}

/// The columns that the database computes, if its table is there: they are never written.
async fn computed(settings: &Settings, catalog: &Catalog) -> anyhow::Result<Vec<String>> {
    let database = Database::parse(&settings.database)?;
    if !database.exists() {
        return Ok(Vec::new());
    }
    let table = database.table(&catalog.table).await?;
    let columns = table.into_iter().flat_map(|table| table.columns);
    Ok(columns.filter(|column| column.generated).map(|column| column.name).collect())
}

/// A mapping as it is being written.
struct Written<'a> {
    args: &'a NewMapping,
    catalog: &'a Catalog,
    resource: &'a ResourceSpec,
    places: &'a [Place],
    can: Capabilities,
    with: Vec<(String, String)>,
    /// Columns that the database computes.
    computed: Vec<String>,
}

impl Written<'_> {
    fn text(&self) -> anyhow::Result<String> {
        let fields: Vec<&CatalogField> = self.catalog.other_fields().collect();
        let proposals = pair(&fields, self.places);
        let sure = |p: &Proposal| matches!(p, Proposal::Sure { .. });
        if !proposals.iter().any(sure) {
            let get = self
                .resource
                .get
                .as_ref()
                .map_or_else(String::new, |call| format!(" (what `{}` answers)", call.method));
            bail!(
                "no field of `{}` can be paired: too little is known of {}. Save one record as JSON{get} and name it with --sample",
                self.catalog.name,
                self.args.remote
            );
        }
        let mut lines = Lines::default();
        lines.push(modeline("schema/mapping.schema.json"), "");
        lines.push("# Paired by names and types. A line that is commented out is not sure: uncomment it if it is right.", "");
        lines.push(format!("mapping: {}", self.args.name), "");
        lines.push(format!("local: {}", self.catalog.name), "");
        lines.push(self.remote(), "");
        lines.push("", "");
        self.identity(&mut lines, &fields, &proposals);
        lines.push("fields:", "local field: its place in the remote record");
        for name in self.inserted_key() {
            lines.push(
                format!("  # {name}: {{ remote: $.…, immutable: true }}"),
                "part of the key: a record that makes a row brings it",
            );
        }
        for (field, proposal) in fields.iter().zip(&proposals) {
            self.field(&mut lines, field, proposal);
        }
        self.others(&mut lines, &proposals);
        lines.push("", "");
        self.policies(&mut lines, &fields, &proposals);
        Ok(lines.text())
    }

    /// The key fields that come with a new row.
    fn inserted_key(&self) -> &[String] {
        match self.catalog.made_by {
            KeyMaker::Inserter => self.catalog.key.names(),
            KeyMaker::Database | KeyMaker::Engine => &[],
        }
    }

    fn remote(&self) -> String {
        if self.with.is_empty() {
            return format!("remote: {}", self.args.remote);
        }
        let with: Vec<String> =
            self.with.iter().map(|(name, value)| format!("{name}: {}", yaml_text(value))).collect();
        format!("remote: {{ resource: {}, with: {{ {} }} }}", self.args.remote, with.join(", "))
    }

    fn identity(&self, lines: &mut Lines, fields: &[&CatalogField], proposals: &[Proposal]) {
        let matched = self.matched(fields, proposals);
        let stamp = self.stamp().filter(|_| self.creates(fields, proposals));
        // Records are created by our own key, and nothing here tells which field holds it.
        let lacks_key = self.can.upsert && !self.can.create && stamp.is_none();
        if matched.is_some() || stamp.is_some() {
            lines.push("identity:", "");
        }
        match matched {
            Some((field, _)) => lines.push(
                format!("  match: [{}]", field.name),
                "first contact: one candidate on each side, or a person decides",
            ),
            None if stamp.is_some() => {
                lines.push("  # match: [FIELD]", "fields that tell at first contact that two are one")
            }
            None => lines.push(
                "# identity: { match: [FIELD] }",
                "fields that tell at first contact that a row and a record are one",
            ),
        }
        match stamp {
            Some(stamp) => lines.push(
                format!("  stamp: {}", yaml_text(&stamp.to_string())),
                "our link id, on records that we create",
            ),
            None if lacks_key => lines.push(
                "  # stamp: $.…",
                "the unique field that takes our key: records are created by it alone (`upsert`)",
            ),
            None => {}
        }
        lines.push("", "");
    }

    /// The field that people are recognised by, and its place there.
    fn matched<'f>(
        &self,
        fields: &[&'f CatalogField],
        proposals: &[Proposal],
    ) -> Option<(&'f CatalogField, &SingularPath)> {
        fields.iter().zip(proposals).find_map(|(field, proposal)| match proposal {
            Proposal::Sure { place, .. } if is_mail(field) => Some((*field, &self.places.get(*place)?.path)),
            _ => None,
        })
    }

    /// A place for our link id, if one is known: a key of ours in free ones, or a field that documents have named for it.
    fn stamp(&self) -> Option<SingularPath> {
        let metadata = SingularPath(vec![Segment::Name("metadata".into())]);
        let known = self.resource.sparse.contains(&metadata)
            || self.places.iter().any(|p| p.path.starts_with(&metadata));
        if known {
            return Some(SingularPath([metadata.0, vec![Segment::Name("bothways".into())]].concat()));
        }
        let is_ours = |path: &&SingularPath| path.to_string().to_lowercase().contains("bothways");
        self.can.find.iter().map(|find| &find.path).find(is_ours).cloned()
    }

    fn creates(&self, fields: &[&CatalogField], proposals: &[Proposal]) -> bool {
        let (can, stamp) = (&self.can, self.stamp());
        let matched = self.matched(fields, proposals).map(|(_, path)| path);
        let makes = can.create || (can.upsert && stamp.is_some());
        makes && can.update && can.proves_a_create(matched.into_iter().chain(&stamp))
    }

    fn field(&self, lines: &mut Lines, field: &CatalogField, proposal: &Proposal) {
        let name = &field.name;
        match proposal {
            Proposal::Sure { place, codec, only_in } => {
                let Some(place) = self.places.get(*place) else { return };
                let mut keys = Vec::new();
                if is_mail(field) {
                    keys.push("normalize: [trim, lower]".to_owned());
                }
                keys.extend(codec.map(|codec| format!("as: {codec}")));
                let kept = self
                    .resource
                    .changed_at
                    .as_ref()
                    .is_some_and(|at| at.path.singular() == Some(&place.path));
                let mut comment = if *only_in || kept { "the service keeps it" } else { "" };
                let path = yaml_text(&place.path.to_string());
                let comes_only = *only_in || kept || !self.can.update;
                if self.computed.iter().any(|column| column.eq_ignore_ascii_case(field.column.as_str())) {
                    if comes_only {
                        let why = "the database computes it here, and it cannot be written there";
                        return lines.push(format!("  # {name}: {path}"), why);
                    }
                    comment = "the database computes it";
                    keys.push("direction: out".into());
                } else if comes_only {
                    keys.push("direction: in".into());
                }
                if keys.is_empty() {
                    lines.push(format!("  {name}: {path}"), comment);
                } else {
                    lines.push(format!("  {name}: {{ remote: {path}, {} }}", keys.join(", ")), comment);
                }
            }
            Proposal::Unsure { place, why } => {
                let path = self.places.get(*place).map(|place| place.path.to_string()).unwrap_or_default();
                lines.push(format!("  # {name}: {}", yaml_text(&path)), why);
            }
            Proposal::None => lines.push(format!("  # {name}: $.…"), "nothing there looks like it"),
        }
    }

    /// Places that nothing here pairs with: their names and kinds, never their values.
    fn others(&self, lines: &mut Lines, proposals: &[Proposal]) {
        let used = |index: usize| {
            proposals.iter().any(|proposal| match proposal {
                Proposal::Sure { place, .. } | Proposal::Unsure { place, .. } => *place == index,
                Proposal::None => false,
            })
        };
        let others: Vec<&Place> =
            self.places.iter().enumerate().filter(|(index, _)| !used(*index)).map(|(_, p)| p).collect();
        if others.is_empty() {
            return;
        }
        lines.push("  # there, and in no field here:", "");
        for place in others.iter().take(MOST_OTHERS) {
            let kind = place.value.as_ref().map(|value| format!(" ({})", kind_of(value)));
            lines.push(
                format!(
                    "  #   {}{}",
                    place.path.to_string().replace(['\n', '\r'], " "),
                    kind.unwrap_or_default()
                ),
                "",
            );
        }
        if others.len() > MOST_OTHERS {
            lines.push(format!("  #   and {} more", others.len() - MOST_OTHERS), "");
        }
    }

    fn policies(&self, lines: &mut Lines, fields: &[&CatalogField], proposals: &[Proposal]) {
        let goes_out = |proposal: &Proposal| matches!(proposal, Proposal::Sure { only_in: false, .. });
        let outward = self.creates(fields, proposals) && proposals.iter().any(goes_out);
        let unfilled = fields
            .iter()
            .zip(proposals)
            .find(|(field, proposal)| !field.optional && !matches!(proposal, Proposal::Sure { .. }))
            .map(|(field, _)| &field.name);
        let unfilled = self.inserted_key().first().or(unfilled);
        let from_local = if outward { "create" } else { "manual" };
        let from_remote = if unfilled.is_some() { "manual" } else { "create" };
        let why = match (&unfilled, outward) {
            (Some(field), _) => format!("a new row needs `{field}`, which is not mapped yet"),
            (None, false) => "`bothways describe` says what the service lacks for creating there".into(),
            (None, true) => "a row or record without a counterpart".into(),
        };
        lines.push(format!("creates: {{ from_remote: {from_remote}, from_local: {from_local} }}"), why);
        lines.push("conflicts: { winner: manual }", "or local, remote; `winner` on a field overrides it");
        lines.push("deletes: { from_remote: manual, from_local: manual }", "or ignore, unlink, delete, …");
    }
}

/// A text that people are recognised by.
fn is_mail(field: &CatalogField) -> bool {
    let plain: String =
        field.name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
    field.ty == FieldType::Text && ["email", "emailaddress", "mail"].contains(&plain.as_str())
}
