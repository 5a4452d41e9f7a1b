//! SQLite keeps the contract. The other program of the suite is a connection of its own that knows nothing of the engine.

use crate::foreign::{Program, SEATS};
use bothways_store::contract::seats;

bothways_store::store_contract!(Program::new());
bothways_store::composite_contract!(Program::of(SEATS, vec![seats()]));
