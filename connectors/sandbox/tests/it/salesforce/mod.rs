//! The sandbox Salesforce, request by request.

mod auth;
mod caller;
mod collections;
mod faults;
mod laws;
mod queries;
mod replication;
mod rows;
