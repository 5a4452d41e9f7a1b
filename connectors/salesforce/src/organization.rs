//! Whose organisation it is, and whether it is for tests (rule 28).

use bothways_connector::{Exchange, Outcome};
use bothways_connector_rest::Caller;
use bothways_model::{AccountId, ErrorClass, Failure, Mode, Response};
use serde_json::Value as Json;
use url::Url;

/// Asks for the organisation's id. `mode` is what is known of it without asking.
pub(crate) fn ask(caller: &Caller, mode: Mode) -> Box<dyn Exchange> {
    let reader = caller.clone();
    let read = move |answer: Response| read(&reader, mode, &answer).unwrap_or_else(Outcome::Failed);
    caller.get("/query", &[("q", "SELECT Id, IsSandbox FROM Organization")], read)
}

fn read(caller: &Caller, known: Mode, answer: &Response) -> Result<Outcome, Failure> {
    let body = match caller.json(answer) {
        // A restricted user may do his work without being allowed to ask whose he is.
        Err(failure) if matches!(failure.class, ErrorClass::Forbidden | ErrorClass::Missing) => {
            return Ok(Outcome::Account { id: None, mode: known });
        }
        other => other?,
    };
    let organization = body.get("records").and_then(|records| records.get(0));
    let id = organization.and_then(|o| o.get("Id")).and_then(Json::as_str).filter(|id| !id.is_empty());
    let id = id.ok_or_else(|| Failure::new(ErrorClass::Malformed, "an organisation without an id"))?;
    let mode = match organization.and_then(|o| o.get("IsSandbox")).and_then(Json::as_bool) {
        Some(true) => Mode::Test,
        Some(false) => Mode::Live,
        None => known,
    };
    Ok(Outcome::Account { id: Some(AccountId(id.to_owned())), mode })
}

/// Whether an address means real customers, where its form tells: `acme--dev.sandbox.my.salesforce.com` does not. An organisation that is
/// asked says it for sure.
pub fn mode(url: &str) -> Mode {
    let Ok(url) = Url::parse(url) else { return Mode::Unknown };
    let Some(host) = url.host_str().and_then(|host| host.strip_suffix(".my.salesforce.com")) else {
        return Mode::Unknown;
    };
    let (domain, kind) = host.split_once('.').unwrap_or((host, ""));
    match kind {
        "" if domain.contains("--") => Mode::Test,
        "" => Mode::Live,
        "sandbox" | "scratch" | "develop" | "trailblaze" => Mode::Test,
        _ => Mode::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_tells() {
        for (host, expected) in [
            ("acme.my.salesforce.com", Mode::Live),
            ("acme--dev.sandbox.my.salesforce.com", Mode::Test),
            ("acme--dev.my.salesforce.com", Mode::Test),
            ("acme-dev-ed.develop.my.salesforce.com", Mode::Test),
            ("acme.other.my.salesforce.com", Mode::Unknown),
            ("127.0.0.1:1", Mode::Unknown),
            ("my.salesforce.com.evil.example", Mode::Unknown),
        ] {
            assert_eq!(mode(&format!("https://{host}/services/data/v62.0")), expected, "{host}");
        }
        assert_eq!(mode("acme"), Mode::Unknown);
    }
}
