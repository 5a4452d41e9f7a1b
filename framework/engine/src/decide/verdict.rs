//! What was decided, in a form that is executed, shown, digested and stored.

use super::RecordAction;
use bothways_model::Value;
use bothways_store::{FieldBase, Side};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What happens to one field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Nothing.
    None,
    /// The bases move to the value both sides hold; nothing is written.
    Agree,
    /// The bases take what each side holds; nothing is written.
    Accept,
    /// The local value goes to the remote side.
    Push,
    /// The remote value goes to the local side.
    Pull,
    /// A person's value goes to both sides.
    Set(Value),
    /// A person has to choose; the bases stay.
    Conflict {
        /// The sides differ at first contact.
        first_contact: bool,
    },
    /// A side does not show the field: nothing is concluded.
    Unseen,
    /// The value may not travel; the change is parked with the reason.
    Refuse,
    /// The value refers to a row or record that has no link yet: it waits for that one (rule 35).
    Wait {
        /// Whether a row or a record is referred to.
        side: Side,
        /// Its id.
        id: String,
    },
}

/// The decision about one field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The field's label.
    pub label: String,
    /// What happens.
    pub action: Action,
    /// The local value.
    pub local: Option<Value>,
    /// The remote value.
    pub remote: Option<Value>,
    /// Both bases.
    pub base: FieldBase,
    /// The rule that decided.
    pub rule: u16,
    /// Why, for people; holds no values.
    pub why: String,
}

impl Verdict {
    /// Whether the local value goes out.
    pub fn goes_out(&self) -> bool {
        matches!(self.action, Action::Push | Action::Set(_))
    }

    /// Whether the two sides of the field are not to be one yet: then nothing of its merge unit goes out (rule 10).
    pub fn is_open(&self) -> bool {
        let has = |value: &Option<Value>| value.as_ref().is_some_and(|value| !value.is_null());
        match self.action {
            Action::Conflict { .. } | Action::Pull | Action::Refuse | Action::Wait { .. } => true,
            Action::Unseen => has(&self.local) || has(&self.base.local) || has(&self.base.remote),
            Action::None | Action::Agree | Action::Accept | Action::Push | Action::Set(_) => false,
        }
    }
}

/// The decision about one link.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// What happens to the records as wholes.
    pub record: RecordAction,
    /// What happens to each field, in the mapping's order. Empty unless both records are there.
    pub verdicts: Vec<Verdict>,
}

impl Decision {
    /// Fields whose local value goes out.
    pub fn pushes(&self) -> impl Iterator<Item = &Verdict> {
        self.verdicts.iter().filter(|v| v.goes_out())
    }

    /// Fields whose remote value comes in.
    pub fn pulls(&self) -> impl Iterator<Item = &Verdict> {
        self.verdicts.iter().filter(|v| matches!(v.action, Action::Pull | Action::Set(_)))
    }

    /// Fields that may not travel.
    pub fn refusals(&self) -> impl Iterator<Item = &Verdict> {
        self.verdicts.iter().filter(|v| v.action == Action::Refuse)
    }

    /// Fields that wait for a link: label, side and id of what they refer to.
    pub fn waits(&self) -> impl Iterator<Item = (&str, Side, &str)> {
        self.verdicts.iter().filter_map(|v| match &v.action {
            Action::Wait { side, id } => Some((v.label.as_str(), *side, id.as_str())),
            _ => None,
        })
    }

    /// Whether anything would be written to either side, parked or kept waiting.
    pub fn is_quiet(&self) -> bool {
        self.record == RecordAction::Merge
            && self
                .verdicts
                .iter()
                .all(|v| matches!(v.action, Action::None | Action::Agree | Action::Accept | Action::Unseen))
    }

    /// A digest of what would be done and to which values: two looks that would do the same have the same digest (rule 42).
    pub fn digest(&self) -> String {
        let text = serde_json::to_string(self).unwrap_or_default();
        hex::encode(&Sha256::digest(text.as_bytes())[..12])
    }
}
