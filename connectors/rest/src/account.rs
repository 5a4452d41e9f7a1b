//! Which account the credentials mean (rule 28).

use crate::answer;
use crate::conversation::{Conversation, Reader};
use crate::core::Core;
use crate::request::{Draft, Slots};
use bothways_connector::{Exchange, Outcome};
use bothways_model::{AccountId, ErrorClass};
use std::sync::Arc;

/// `None` if the document has no such call.
pub(crate) fn start(core: &Arc<Core>) -> Option<Box<dyn Exchange>> {
    let account = core.spec().account.clone()?;
    let request = Draft::new(core, &account.call, &Slots::default()).ok()?.finish();
    let shared = Arc::clone(core);
    let reader: Reader = Box::new(move |answer| {
        let mode = shared.vendor.mode;
        if !answer.is_success() {
            let failure = answer::failure(&shared, &answer);
            return match failure.class {
                // Restricted credentials may do their work without being allowed to ask whose they are.
                ErrorClass::Forbidden | ErrorClass::Missing => Outcome::Account { id: None, mode },
                _ => Outcome::Failed(failure),
            };
        }
        match answer::some_json(&answer).and_then(|body| answer::id(&account.id, &body)) {
            Ok(id) => Outcome::Account { id: Some(AccountId(id.0)), mode },
            Err(failure) => Outcome::Failed(failure),
        }
    });
    Some(Conversation::start(core, request, false, reader))
}
