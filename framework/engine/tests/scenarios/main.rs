//! The named scenarios P01 to P40 of the rules, as far as one service and one database show them: each test has the scenario's
//! number in its name, builds a whole world in virtual time and lets it run.
// A world binds the ports to tokio's virtual clock; the bans are for the engine.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

#[path = "../harness/mod.rs"]
mod harness;
#[path = "../../../../connectors/rest/tests/standins/hubspot.rs"]
mod hubspot;
#[path = "../../../../connectors/rest/tests/standins/quickbooks.rs"]
mod quickbooks;

mod absences;
mod accounts;
mod archives;
mod between;
mod books;
mod brake_status;
mod brakes;
mod bulk_changes;
mod circuits;
mod collections;
mod composite;
mod contacts;
mod crashes;
mod creates;
mod deletes;
mod documents;
mod echoes;
mod held;
mod hub;
mod leases;
mod looked_up;
mod lookups;
mod merged_records;
mod merges;
mod named;
mod newest;
mod odd_events;
mod operators;
mod organisations;
mod races;
mod references;
mod reverts;
mod scope;
mod shapes;
mod shop;
mod short_ids;
mod signals;
mod soak;
mod sync_tokens;
mod units;
mod unread;
mod versions;
