//! The keys that rotating tokens are encrypted with: from the environment, never from the database they protect.

use crate::environment::Variables;
use anyhow::Context as _;
use bothways_engine::Vault;

/// The variable that holds them.
const VARIABLE: &str = "BOTHWAYS_KEY";

/// The keys, if there are any.
///
/// # Errors
/// The variable, or the file that it names, holds something else.
pub(crate) fn vault() -> anyhow::Result<Option<Vault>> {
    let variables = Variables::default();
    let keys = variables.secret(VARIABLE);
    let problems = variables.problems();
    anyhow::ensure!(problems.is_empty(), "{}", problems.join("; "));
    keys.map(|keys| Vault::parse(&keys).context(VARIABLE)).transpose()
}
