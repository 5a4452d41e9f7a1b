//! `new connector`: a working skeleton of a connector document. What a service needs beyond it stands there as comments.

use super::{Draft, Lines, yaml_text};
use crate::cli::{AuthKind, NewConnector, PagingKind};
use bothways_diagnose::modeline;

pub(super) fn draft(args: &NewConnector) -> anyhow::Result<Draft> {
    let mut lines = Lines::default();
    lines.push(modeline("schema/connector.schema.json"), "");
    lines.push("# Compare each line with the service's documentation; hover a key to see what it means.", "");
    lines.push(format!("connector: {}", args.name), "");
    vars(&mut lines, args);
    http(&mut lines, args);
    lists(&mut lines, args);
    events(&mut lines);
    lines.push("resources:", "the part after `/` in a mapping's `remote`");
    for name in resources(args) {
        resource(&mut lines, &name);
    }
    let resources = resources(args);
    let first = resources.first().map_or("RECORDS", String::as_str);
    let secrets: Vec<String> = auth(args.auth).vars.iter().map(|(name, ..)| variable(args, name)).collect();
    let mut next = vec![
        format!(
            "compare the paths under `resources` with the service's documentation; {} is where it is",
            variable(args, "base_url")
        ),
        "bothways validate".into(),
        format!("bothways describe {}", args.name),
    ];
    let mut settings: Vec<String> = secrets;
    if is_this_machine(&args.base_url) {
        // A document alone does not lead here (`RULES.md` S14).
        settings.insert(0, format!("{}={}", variable(args, "base_url"), args.base_url));
    }
    if !settings.is_empty() {
        next.push(format!("set {} (in the environment or .env)", settings.join(" and ")));
    }
    next.push(format!(
        "bothways new mapping NAME --local CATALOG --remote {}/{first} --sample RECORD.json",
        args.name
    ));
    Ok(Draft { name: args.name.clone(), text: lines.text(), next })
}

/// Whether an address names this machine by its name or a loopback address.
fn is_this_machine(url: &str) -> bool {
    let Ok(url) = url::Url::parse(url) else { return false };
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn resources(args: &NewConnector) -> Vec<String> {
    if args.resources.is_empty() { vec!["records".into()] } else { args.resources.clone() }
}

/// The environment variable of one of its settings.
fn variable(args: &NewConnector, name: &str) -> String {
    format!("{}_{name}", args.name).replace('-', "_").to_uppercase()
}

/// A way of proving who is calling.
struct Auth {
    /// The settings that it needs: name, secret, what it is.
    vars: &'static [(&'static str, bool, &'static str)],
    /// How `http` says it, each line with what there is to say about it.
    lines: &'static [(&'static str, &'static str)],
}

fn auth(kind: AuthKind) -> Auth {
    let (vars, lines): (&[_], &[_]) = match kind {
        AuthKind::None => (&[], &[("  auth: none", "")]),
        AuthKind::Bearer => (
            &[("token", true, "an API token of the account")],
            &[("  auth: { bearer: \"${token}\" }", "Authorization: Bearer …")],
        ),
        AuthKind::Basic => (
            &[("user", false, "the user name"), ("password", true, "its password or API key")],
            &[("  auth: { basic: { user: \"${user}\", password: \"${password}\" } }", "")],
        ),
        AuthKind::Header => (
            &[("api_key", true, "an API key of the account")],
            &[("  auth: { header: { name: X-Api-Key, value: \"${api_key}\" } }", "")],
        ),
        AuthKind::Query => (
            &[("api_key", true, "an API key of the account")],
            &[("  auth: { query: { name: api_key, value: \"${api_key}\" } }", "")],
        ),
        AuthKind::Oauth2 => (
            &[("client_id", false, "the client's id"), ("client_secret", true, "its secret")],
            &[
                ("  auth:", "client credentials: a token is fetched, kept and renewed"),
                ("    oauth2:", ""),
                ("      token_url: \"${base_url}/oauth/token\"", "an absolute URL"),
                ("      client_id: \"${client_id}\"", ""),
                ("      client_secret: \"${client_secret}\"", ""),
            ],
        ),
    };
    Auth { vars, lines }
}

fn vars(lines: &mut Lines, args: &NewConnector) {
    lines.push("vars:", "settings that the user supplies");
    lines.push(
        format!("  base_url: {{ default: {} }}", yaml_text(&args.base_url)),
        variable(args, "base_url"),
    );
    for (name, secret, doc) in auth(args.auth).vars {
        let secret = if *secret { "secret: true, " } else { "" };
        lines.push(format!("  {name}: {{ {secret}doc: {doc} }}"), variable(args, name));
    }
    lines.push(
        "  # webhook_secret: { secret: true, list: true }",
        "for `events.webhook`; without it that is off, the rest runs",
    );
    lines.push("", "");
}

fn http(lines: &mut Lines, args: &NewConnector) {
    lines.push("http:", "");
    lines.push("  base_url: ${base_url}", "the paths of calls are appended");
    auth(args.auth).lines.iter().for_each(|(line, remark)| lines.push(*line, *remark));
    lines.push("  # headers: { Api-Version: \"2\" }", "headers of every call");
    lines.push("  # body: form", "where writes are forms, not JSON; then also `null_as`");
    lines.push(
        "  # idempotency: { header: Idempotency-Key, keeps: 24h }",
        "where a write sent twice under one key is one write",
    );
    lines.push("  rate: { limit: 10/s }", "80 % of what the service allows");
    lines.push("  errors: { message: $.message, code: $.code }", "in the body of an error");
    lines.push("", "");
}

fn lists(lines: &mut Lines, args: &NewConnector) {
    let (items, pages, remark) = match args.paging {
        PagingKind::None => ("$.data", "none", "one page is all there is"),
        PagingKind::Cursor => (
            "$.data",
            "{ cursor: { query: after, value: $.next } }",
            "?after= takes what $.next held; nothing there ends the list",
        ),
        PagingKind::NextUrl => {
            ("$.data", "{ next_url: $.next }", "the next page's URL; nothing there ends the list")
        }
        PagingKind::LinkHeader => ("$", "link_header", "Link: <…>; rel=\"next\""),
        PagingKind::Page => {
            ("$.data", "{ page: { query: page } }", "numbered from 1; a page without records ends the list")
        }
        PagingKind::Offset => (
            "$.data",
            "{ offset: { query: offset } }",
            "the number of records read; a page without records ends the list",
        ),
    };
    lines.push("lists:", "");
    let items = args.items.as_deref().unwrap_or(items);
    lines.push(
        format!("  items: {}", yaml_text(items)),
        "where the records of a list are; `$`: the answer is the list",
    );
    if args.paging != PagingKind::None {
        lines.push("  page_size: { limit: 100 }", "the query parameter, and the most it takes");
    }
    lines.push(format!("  pages: {pages}"), remark);
    lines.push("", "");
}

fn events(lines: &mut Lines) {
    lines.push("# events:", "where the service tells about changes");
    lines.push("#   id: $.id", "of the event");
    lines.push("#   type: $.type", "the words that `events` of a resource explain");
    lines.push("#   object: $.data", "the whole record; `id_of: $.record_id` where it is only named");
    lines.push("#   webhook:", "POST to /hooks/ and the connection's name");
    lines.push("#     verify: { hmac: { secret: \"${webhook_secret}\", header: X-Signature } }", "");
    lines.push("", "");
}

fn resource(lines: &mut Lines, name: &str) {
    lines.push(format!("  {name}:"), "");
    lines.push("    id: $.id", "");
    lines.push(format!("    list: GET /{name}"), "a call that the service has not is left out");
    lines.push(format!("    get: GET /{name}/{{id}}"), "");
    lines.push(format!("    create: POST /{name}"), "");
    lines.push(format!("    update: PATCH /{name}/{{id}}"), "");
    lines.push(
        format!("    delete: DELETE /{name}/{{id}}"),
        "`{ call: …, irreversible: true }` where it cannot be undone",
    );
    lines.push(
        format!("    # find: {{ $.email: {{ call: \"GET /{name}?email={{value}}\", consistent: true }} }}"),
        "a lookup, and whether it sees its own latest writes",
    );
    lines.push(
        format!("    # since: {{ call: \"GET /{name}?updated_since={{since}}\", cursor: {{ path: $.updated_at, as: iso8601 }} }}"),
        "changes, oldest first",
    );
    lines.push("    # changed_at: { path: $.updated_at, as: iso8601 }", "");
    lines.push("    # gone: \"@.deleted == true\"", "true for a deleted record that is still shown");
    lines.push(
        format!("    # events: {{ {name}.created: upsert, {name}.updated: upsert, {name}.deleted: delete }}"),
        "what the types of events mean",
    );
}
