//! How services tell of changes, beyond one event in one body (that is in `tests/events.rs`).
//!
//! | style | document | so do |
//! |---|---|---|
//! | what happened, when, and the delivery's id, in headers | `events: { id: { header }, type: { header }, at: { header }, object: $ }` | Shopify, GitHub, WooCommerce |
//! | what happened in two places together | `events: { type: [$.meta.entity, $.meta.action] }` | Pipedrive, GitHub, Linear, Asana |
//! | many thin events in one delivery | `events: { each: "$[*]", id_of }` | HubSpot, Microsoft Graph, Xero |
//! | a signature over method, address, body and time | `hmac: { signs: "POST${hook_url}{body}{timestamp}", timestamp }` | HubSpot (v3), Square |
//! | a timestamp in ISO 8601 | `hmac: { timestamp, signs: "{timestamp}{body}" }` | Zendesk: `documents/zendesk.rs` |
//! | deliveries and nothing else, not even a list | no `list`, no `since`, no `feed` | terminals, e-signature, small services |
//! | a question before the first delivery | `webhook: { challenge: { query } }` | Meta, Microsoft Graph, Dropbox |

mod alone;
mod batches;
mod challenges;
mod composed;
mod headers;
