//! SQLite keeps the contract. The other program of the suite is a connection of its own that knows nothing of the engine.

mod foreign;

use foreign::Program;

async fn sqlite() -> Program {
    Program::new().await
}

bothways_store::store_contract!(sqlite());
