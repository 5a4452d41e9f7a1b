//! Webhook endpoints: where events are sent, which ones, and the secrets they are signed with.

use crate::customer_fields::apply_metadata;
use crate::errors::ApiError;
use crate::form::Params;
use crate::ids::Ids;
use crate::list::{Key, Page, Slip, plain_query};
use crate::params::{Given, Reader};
use bothways_model::Timestamp;
use chrono::TimeDelta;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// One webhook endpoint.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(crate) id: String,
    created: i64,
    pub(crate) url: String,
    enabled_events: Vec<String>,
    pub(crate) disabled: bool,
    description: Option<String>,
    metadata: Map<String, Value>,
    pub(crate) api_version: Option<String>,
    secret: String,
    /// The secret before the last roll, and until when it is still used.
    rolled: Option<(String, Timestamp)>,
}

impl Endpoint {
    /// Whether it wants events of this type.
    pub(crate) fn wants(&self, kind: &str) -> bool {
        !self.disabled && self.enabled_events.iter().any(|e| e == "*" || e == kind)
    }

    /// Every secret in force: two while one is being rolled.
    pub(crate) fn secrets(&self, now: Timestamp) -> Vec<&str> {
        let rolled =
            self.rolled.as_ref().filter(|(_, until)| now < *until).map(|(secret, _)| secret.as_str());
        std::iter::once(self.secret.as_str()).chain(rolled).collect()
    }

    fn view(&self, with_secret: bool) -> Value {
        let mut view = json!({
            "id": self.id,
            "object": "webhook_endpoint",
            "api_version": self.api_version,
            "application": null,
            "created": self.created,
            "description": self.description,
            "enabled_events": self.enabled_events,
            "livemode": false,
            "metadata": self.metadata,
            "status": if self.disabled { "disabled" } else { "enabled" },
            "url": self.url,
        });
        if with_secret {
            view["secret"] = self.secret.clone().into();
        }
        view
    }

    fn apply(&mut self, reader: &mut Reader) -> Result<(), ApiError> {
        if let Some(url) = reader.solid_text("url", 5_000)? {
            if !(url.starts_with("http://") || url.starts_with("https://")) {
                return Err(ApiError::invalid(
                    "Invalid URL: An explicit scheme (such as https) must be provided.",
                )
                .with_code("url_invalid")
                .of("url"));
            }
            self.url = url;
        }
        if let Some(events) = reader.texts("enabled_events")? {
            let events = events.into_option().unwrap_or_default();
            if events.is_empty() {
                return Err(ApiError::cannot_be_empty("enabled_events"));
            }
            if let Some(bad) = events.iter().find(|e| *e != "*" && (e.contains('*') || !e.contains('.'))) {
                let text = format!("Invalid enabled_events: '{bad}' is not the name of an event.");
                return Err(ApiError::invalid(text).of("enabled_events"));
            }
            self.enabled_events = events;
        }
        if let Some(description) = reader.text("description", 5_000)? {
            self.description = description.into_option();
        }
        if let Some(metadata) = reader.hash("metadata")? {
            apply_metadata(&mut self.metadata, metadata)?;
        }
        Ok(())
    }
}

/// All webhook endpoints of one account.
#[derive(Clone, Debug, Default)]
pub(crate) struct Endpoints {
    all: BTreeMap<Key, Endpoint>,
    seq: u64,
}

impl Endpoints {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Endpoint> {
        self.all.values()
    }

    pub(crate) fn find(&self, id: &str) -> Option<&Endpoint> {
        self.all.values().find(|e| e.id == id)
    }

    /// `POST /v1/webhook_endpoints`. The only answer that shows the secret.
    pub(crate) fn create(
        &mut self,
        params: Params,
        ids: &mut Ids,
        now: Timestamp,
    ) -> Result<Value, ApiError> {
        let mut reader = Reader::new(params);
        let mut endpoint = Endpoint {
            id: String::new(),
            created: now.timestamp(),
            url: String::new(),
            enabled_events: Vec::new(),
            disabled: false,
            description: None,
            metadata: Map::new(),
            api_version: reader.text("api_version", 64)?.and_then(Given::into_option),
            secret: String::new(),
            rolled: None,
        };
        reader.boolean("connect")?;
        endpoint.apply(&mut reader)?;
        reader.finish()?;
        if endpoint.url.is_empty() {
            return Err(ApiError::required("url"));
        }
        if endpoint.enabled_events.is_empty() {
            return Err(ApiError::required("enabled_events"));
        }
        endpoint.id = ids.make("we_", 24);
        endpoint.secret = ids.make("whsec_", 32);
        let view = endpoint.view(true);
        self.all.insert(Key { created: endpoint.created, seq: self.seq }, endpoint);
        self.seq += 1;
        Ok(view)
    }

    /// `GET /v1/webhook_endpoints/{id}`.
    pub(crate) fn get(&self, id: &str) -> Result<Value, ApiError> {
        self.find(id).map(|e| e.view(false)).ok_or_else(|| ApiError::missing("webhook endpoint", id))
    }

    /// `POST /v1/webhook_endpoints/{id}`.
    pub(crate) fn update(&mut self, id: &str, params: Params) -> Result<Value, ApiError> {
        let slot = self.find_mut(id)?;
        let mut reader = Reader::new(params);
        let mut endpoint = slot.clone();
        if let Some(disabled) = reader.boolean("disabled")? {
            endpoint.disabled = disabled;
        }
        endpoint.apply(&mut reader)?;
        reader.finish()?;
        *slot = endpoint;
        Ok(slot.view(false))
    }

    /// `DELETE /v1/webhook_endpoints/{id}`.
    pub(crate) fn delete(&mut self, id: &str) -> Result<Value, ApiError> {
        let key = self.all.iter().find(|(_, e)| e.id == id).map(|(key, _)| *key);
        key.and_then(|key| self.all.remove(&key)).ok_or_else(|| ApiError::missing("webhook endpoint", id))?;
        Ok(json!({ "id": id, "object": "webhook_endpoint", "deleted": true }))
    }

    /// `GET /v1/webhook_endpoints`.
    pub(crate) fn list(&self, params: Params) -> Result<Page<Value>, ApiError> {
        let query = plain_query(params)?;
        let at = match query.cursor() {
            None => None,
            Some((id, param)) => {
                let key = self.all.iter().find(|(_, e)| e.id == id).map(|(key, _)| *key);
                Some(key.ok_or_else(|| ApiError::missing_cursor("webhook endpoint", id, param))?)
            }
        };
        let slip = Slip::default();
        Ok(query.page(query.range(&self.all, at, slip).map(|(key, e)| (key, e.view(false))), at, slip))
    }

    /// Makes a new secret, as the dashboard does; the old one stays in use for `overlap`.
    pub(crate) fn roll(
        &mut self,
        id: &str,
        overlap: TimeDelta,
        ids: &mut Ids,
        now: Timestamp,
    ) -> Result<String, ApiError> {
        let endpoint = self.find_mut(id)?;
        let old = std::mem::replace(&mut endpoint.secret, ids.make("whsec_", 32));
        endpoint.rolled = Some((old, now + overlap));
        Ok(endpoint.secret.clone())
    }

    fn find_mut(&mut self, id: &str) -> Result<&mut Endpoint, ApiError> {
        self.all.values_mut().find(|e| e.id == id).ok_or_else(|| ApiError::missing("webhook endpoint", id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_timestamp(second, 0).unwrap()
    }

    fn decode(form: &str) -> Params {
        Params::decode(form).unwrap()
    }

    #[test]
    fn the_secret_is_shown_once_and_rolls_with_an_overlap() {
        let (mut all, mut ids) = (Endpoints::default(), Ids::new(1));
        let made = all
            .create(decode("url=http://127.0.0.1/h&enabled_events[]=customer.created"), &mut ids, at(0))
            .unwrap();
        let (id, secret) = (made["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
        assert!(secret.starts_with("whsec_"));
        assert!(all.get(id).unwrap().get("secret").is_none());
        let new = all.roll(id, TimeDelta::hours(24), &mut ids, at(10)).unwrap();
        assert_eq!(all.find(id).unwrap().secrets(at(20)), [new.as_str(), secret]);
        assert_eq!(all.find(id).unwrap().secrets(at(10 + 86_400)), [new.as_str()]);
    }

    #[test]
    fn events_are_chosen_by_name() {
        let (mut all, mut ids) = (Endpoints::default(), Ids::new(1));
        let made =
            all.create(decode("url=http://a/h&enabled_events[]=customer.created"), &mut ids, at(0)).unwrap();
        let id = made["id"].as_str().unwrap();
        let wants = |all: &Endpoints, kind| all.find(id).unwrap().wants(kind);
        assert!(wants(&all, "customer.created") && !wants(&all, "customer.updated"));
        all.update(id, decode("enabled_events[]=*")).unwrap();
        assert!(wants(&all, "customer.updated"));
        assert_eq!(all.update(id, decode("disabled=true")).unwrap()["status"], "disabled");
        assert!(!wants(&all, "customer.updated"));
        assert_eq!(all.delete(id).unwrap()["deleted"], true);
        assert_eq!(all.get(id).unwrap_err().status, 404);
    }

    #[test]
    fn bad_endpoints_are_refused() {
        let (mut all, mut ids) = (Endpoints::default(), Ids::new(1));
        for (form, param) in [
            ("enabled_events[]=*", "url"),
            ("url=http://a/", "enabled_events"),
            ("url=ftp://a/&enabled_events[]=*", "url"),
            ("url=http://a/&enabled_events[]=customer.*", "enabled_events"),
            ("url=http://a/&enabled_events[]=*&color=red", "color"),
        ] {
            let error = all.create(decode(form), &mut ids, at(0)).unwrap_err();
            assert_eq!(error.param.as_deref(), Some(param), "{form}");
        }
        assert_eq!(all.iter().count(), 0);
    }
}
