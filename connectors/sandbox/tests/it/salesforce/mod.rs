//! The sandbox Salesforce, request by request.

mod auth;
mod caller;
mod queries;
mod rows;
