//! SQLite keeps the contract. The other program of the suite is a connection of its own that knows nothing of the engine.

use crate::foreign::Program;

bothways_store::store_contract!(Program::new());
