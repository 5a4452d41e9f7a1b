//! A service that does not answer, or answers with an error: which mapping met it, where the service is, and what of one's own to look at.

use bothways_connector::Connector;
use bothways_engine::EngineError;
use bothways_mapping::Mapping;
use bothways_model::ErrorClass;

/// The error with what a person needs to find its cause: `MAPPING: connection NAME at ORIGIN (VARIABLE): …`.
pub(crate) fn told(error: EngineError, mapping: &Mapping, connector: &dyn Connector) -> anyhow::Error {
    let spec = &mapping.connector;
    let connection = mapping.remote.connection.as_str();
    let variables = |wanted: &dyn Fn(&str, bool) -> bool| -> Vec<String> {
        let all = spec.vars.iter().filter(|var| wanted(&var.name, var.secret) && !var.webhook_only);
        all.map(|var| var.env(connection)).collect()
    };
    let look_at = match &error {
        EngineError::Silence(_) => {
            let places: Vec<&str> = spec.http.base_url.vars().collect();
            variables(&|name, _| places.contains(&name))
        }
        EngineError::Service(failure)
            if matches!(failure.class, ErrorClass::Auth | ErrorClass::Forbidden) =>
        {
            variables(&|_, secret| secret)
        }
        // What is asked for and how the answer is read is in the connector's document.
        EngineError::Service(_) => vec![spec.source.file.to_string()],
        _ => return anyhow::Error::new(error).context(mapping.name.clone()),
    };
    let origin = connector.limits().origin.as_str();
    let hint = if look_at.is_empty() { String::new() } else { format!(" (see {})", look_at.join(", ")) };
    anyhow::Error::new(error)
        .context(format!("{}: connection `{connection}` at {origin}{hint}", mapping.name))
}
