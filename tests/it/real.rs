//! Real input: the program itself, a SQLite file, ZeroMQ and TCP, against two Stripes: localstripe, which others wrote, and our sandbox.
//!
//! What each can show is in the names of the tests. localstripe signs its webhooks and sends each once; it ignores idempotency keys,
//! knows no `created` filter and refuses the feed's query. Edits of people are made as people make them: by SQL through a connection of
//! its own, and by calls of the service's API. Salesforce's connector meets simple-mockforce, which others wrote, too. A peer that cannot be started fails the test with its reason.

mod again;
mod answers;
mod both_edited;
mod by_hand;
mod canaries;
mod draw;
mod first_contact;
mod guarding;
mod installation;
mod invoices;
mod killed;
mod kills;
mod ledger;
mod locked;
mod migrating;
mod mockforce;
mod neighbour;
mod noticing;
mod patience;
mod peer;
mod planning;
mod program;
mod proxy;
mod races;
mod rebuilding;
mod restored;
mod resuming;
mod sides;
mod storm;
mod table;
mod users;
mod wire;
