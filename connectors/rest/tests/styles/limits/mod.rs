//! How services say how fast they may be called.
//!
//! | style | document | so do |
//! |---|---|---|
//! | a pause in a header of its own | `errors: { retry_header }` | GitHub, Okta |
//! | so many calls a day | `rate: { daily }` | Salesforce, HubSpot, NetSuite |
//! | the day's calls told in a header | `rate: { used: { header, format } }` | Salesforce (`Sforce-Limit-Info`), HubSpot |
//! | a call that may be made less often | `rate` of a call | Zendesk's export, HubSpot's search |

mod budgets;
mod told;
