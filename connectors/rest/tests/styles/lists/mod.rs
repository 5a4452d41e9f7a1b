//! How lists go on, and how changes are found.
//!
//! | style | document | so do |
//! |---|---|---|
//! | a position in a search's JSON body | `pages: { page, offset or cursor: { json } }` | HubSpot, Notion, Elasticsearch |
//! | numbered pages with an end that is told | `pages: { page: { query, while } }` | Django REST framework, many that count pages |
//! | a next URL that is there even at the end | `pages: { next_url: { path, while } }` | Zendesk's exports |
//! | a token in the query or body | `since: { token: { query or json, value } }` | Google Calendar and People, Todoist; Dropbox |
//! | a token that is a URL | `since: { token: { url: true, value } }` | Microsoft Graph |
//! | a token that stands for now | `since: { token: { …, start } }` | Dropbox, Box, Microsoft Graph (`$deltatoken=latest`) |
//! | times, with a most of results | `since: { cursor: { path, as, send }, cap }` | HubSpot: `documents/hubspot.rs` |
//! | numbered pages in the order of changes | `since: { cursor, cap }`, `cap` being the size of a page | Freshdesk, WooCommerce |
//! | times in UTC that do not say so | `as: utc` | WooCommerce, Xero, Pipedrive's older API |
//!
//! Cursors in queries, next URLs and `Link` headers, pages and offsets are in `tests/conformance.rs`; no filter for changes at all is in the
//! engine's `tests/scenarios/documents.rs`.

mod bodies;
mod moving;
mod offsetless;
mod strict;
mod tokens;
