//! How calls prove who is calling, beyond a fixed credential (those are in `tests/tokens.rs`).
//!
//! | style | document | so do |
//! |---|---|---|
//! | a session for a JSON body, carried as a bearer token | `auth: { login: { call, json, token } }` | Metabase, Magento, SAP Business One |
//! | a session for a form, both ways in headers | `auth: { login: { call, form, token: { header }, header } }` | Redfish |
//! | a session for HTTP Basic, carried in a cookie | `auth: { login: { call, basic, token, header } }` | vCenter, older Jira and CouchDB |
//! | an end of session told by a code | `errors: { codes: { …: auth } }` | Salesforce's `INVALID_SESSION_ID` |

mod sessions;
