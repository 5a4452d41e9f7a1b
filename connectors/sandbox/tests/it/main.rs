//! The sandbox from outside: its pure core request by request, then on a port.

mod api;
mod caller;
mod faults;
mod idempotency;
mod laws;
mod salesforce;
mod served;
mod webhooks;
