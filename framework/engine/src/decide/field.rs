//! One field, four values: what both sides show and what each was last known to hold (rules 10, 17, 18).

use bothways_model::Value;

/// The four values of one field. `None` is *absent* for the two sides and *unknown* for the two bases; null is a value.
#[derive(Clone, Copy, Debug)]
pub struct Four<'a> {
    /// The local value.
    pub local: Option<&'a Value>,
    /// The remote value.
    pub remote: Option<&'a Value>,
    /// The local base.
    pub base_local: Option<&'a Value>,
    /// The remote base.
    pub base_remote: Option<&'a Value>,
}

/// What the four values say, before any policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldState {
    /// Neither side differs from its base.
    InStep,
    /// Both sides hold the same value, which the bases do not hold yet.
    Agree,
    /// Only the local side changed.
    LocalOnly,
    /// Only the remote side changed.
    RemoteOnly,
    /// Both changed, and differ.
    Both {
        /// A base is unknown: a difference at first contact.
        first_contact: bool,
    },
    /// A base is unknown and only the local side has a value.
    FillRemote,
    /// A base is unknown and only the remote side has a value.
    FillLocal,
    /// The remote side shows a value that an uncertain write of ours may have brought about late, while the local side went on.
    LateEcho,
    /// A side does not show the field, and nothing can be concluded.
    Unseen,
    /// The local side changed, and the remote side does not show the value that this would replace.
    Hidden,
}

/// Classifies a field. `same` compares two values after the field's `normalize`; `late` are values of uncertain writes whose
/// arrival would be our own echo (rule 24).
pub fn classify<'a>(
    four: &Four<'a>,
    same: impl Fn(&Value, &Value) -> bool,
    mut late: impl Iterator<Item = &'a Value>,
) -> FieldState {
    let Four { local, remote, base_local, base_remote } = *four;
    let has = |value: Option<&Value>| value.is_some_and(|v| !v.is_null());
    let Some(local) = local else { return FieldState::Unseen };
    let half = base_local.is_some() != base_remote.is_some();
    // An answer that did not show what was sent leaves one base unknown: both sides were alike then, so the other says what it was.
    let (Some(base_local), Some(base_remote)) = (base_local.or(base_remote), base_remote.or(base_local))
    else {
        return match remote {
            Some(remote) if same(local, remote) => FieldState::Agree,
            // Below this line both sides are known or the remote one is absent, and they differ.
            Some(remote) if !remote.is_null() && !local.is_null() => FieldState::Both { first_contact: true },
            Some(remote) if !remote.is_null() => FieldState::FillLocal,
            _ if !local.is_null() => FieldState::FillRemote,
            _ => FieldState::Unseen,
        };
    };
    let local_changed = !same(local, base_local);
    let Some(remote) = remote else {
        // A field that is null on the remote side may be left out of its answers; one that had a value may not.
        return match (local_changed, has(Some(base_remote))) {
            (true, false) if local.is_null() => FieldState::Agree,
            (true, false) => FieldState::LocalOnly,
            (false, false) => FieldState::InStep,
            (true, true) => FieldState::Hidden,
            (false, true) => FieldState::Unseen,
        };
    };
    match (local_changed, !same(remote, base_remote)) {
        (false, false) if !half => FieldState::InStep,
        _ if same(local, remote) => FieldState::Agree,
        (true, false) => FieldState::LocalOnly,
        (_, true) if late.any(|value| same(value, remote)) => FieldState::LateEcho,
        (false, true) => FieldState::RemoteOnly,
        (true, true) => FieldState::Both { first_contact: false },
        (false, false) => FieldState::InStep,
    }
}
