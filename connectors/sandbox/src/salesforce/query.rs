//! Queries and their further pages. A locator remembers which rows were found; their values are of when the page is read.

use super::access::Access;
use super::call::Call;
use super::errors::ApiError;
use super::faults::Action;
use super::objects::Object;
use super::org::Salesforce;
use super::reply::Reply;
use super::soql;
use bothways_model::Timestamp;
use chrono::TimeDelta;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How long a locator can be used.
const LIFETIME: TimeDelta = TimeDelta::days(2);

/// Results that are being read page by page.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cursors {
    open: BTreeMap<String, Cursor>,
}

#[derive(Clone, Debug)]
struct Cursor {
    object: Arc<Object>,
    fields: Vec<String>,
    ids: Vec<String>,
    page_size: usize,
    expires: Timestamp,
}

impl Salesforce {
    /// `GET /query?q=` and, for rows in the recycle bin too, `GET /queryAll?q=`.
    pub(crate) fn query(
        &mut self,
        call: &Call,
        base: &str,
        all: bool,
        access: &Access<'_>,
    ) -> Result<Reply, ApiError> {
        let text = call.param("q").ok_or_else(|| ApiError::bad("MALFORMED_QUERY", "no query parameter q"))?;
        let query = soql::parse(&text)?;
        let mut found = soql::run(&self.store, &text, &query, all, access)?;
        if access.take(|action| (*action == Action::EmptyList).then_some(())).is_some() {
            found.ids.clear();
        }
        if query.counts {
            return Ok(Reply::ok(json!({ "totalSize": found.ids.len(), "done": true, "records": [] })));
        }
        let cursor = Cursor {
            object: found.object,
            fields: found.fields,
            ids: found.ids,
            page_size: page_size(call, self.config.page_size),
            expires: access.now + LIFETIME,
        };
        let locator = if cursor.ids.len() > cursor.page_size {
            let locator = self.store.ids.make("01g");
            self.cursors.open.insert(locator.clone(), cursor.clone());
            locator
        } else {
            String::new()
        };
        Ok(Reply::ok(self.page(base, &cursor, &locator, 0, access)))
    }

    /// `GET /query/{locator}-{offset}`.
    pub(crate) fn query_more(
        &mut self,
        locator: &str,
        base: &str,
        access: &Access<'_>,
    ) -> Result<Reply, ApiError> {
        let wrong = || ApiError::bad("INVALID_QUERY_LOCATOR", "invalid query locator");
        let (id, offset) = locator.rsplit_once('-').ok_or_else(wrong)?;
        let mut offset: usize = offset.parse().map_err(|_| wrong())?;
        self.cursors.open.retain(|_, cursor| access.now < cursor.expires);
        let cursor =
            self.cursors.open.get(id).filter(|cursor| offset < cursor.ids.len()).ok_or_else(wrong)?.clone();
        if access.take(|action| (*action == Action::PageRepeated).then_some(())).is_some() {
            offset = offset.saturating_sub(cursor.page_size);
        }
        Ok(Reply::ok(self.page(base, &cursor, id, offset, access)))
    }

    fn page(&self, base: &str, cursor: &Cursor, locator: &str, offset: usize, access: &Access<'_>) -> Value {
        let end = offset.saturating_add(cursor.page_size).min(cursor.ids.len());
        let ids = cursor.ids.get(offset..end).unwrap_or_default();
        let table = self.store.table(cursor.object.name).ok();
        let records: Vec<Value> = ids
            .iter()
            .filter_map(|id| table?.get(id)?.seen(access.now))
            .map(|record| self.view(base, &cursor.object, record, &cursor.fields))
            .collect();
        let mut page = json!({ "totalSize": cursor.ids.len(), "done": end == cursor.ids.len() });
        if let Value::Object(page) = &mut page {
            if end < cursor.ids.len() {
                page.insert("nextRecordsUrl".into(), format!("{base}/query/{locator}-{end}").into());
            }
            page.insert("records".into(), records.into());
        }
        page
    }
}

/// Rows in a page: as many as the organisation gives, or fewer where `Sforce-Query-Options: batchSize=` asks for it. The
/// platform takes no less than 200.
fn page_size(call: &Call, most: usize) -> usize {
    let asked = call.header("sforce-query-options").and_then(|options| {
        let (name, size) = options.split_once('=')?;
        name.trim().eq_ignore_ascii_case("batchSize").then(|| size.trim().parse::<usize>().ok())?
    });
    asked.map_or(most, |size| size.max(200).min(most))
}
