//! Capabilities in words: what is there, and what each thing that is there or missing means for a mapping.

use bothways_model::{Capabilities, FindCapability};

/// One thing that a resource can or cannot do.
pub(crate) struct Ability {
    /// Its name, as the connector document says it where it has a key for it.
    pub(crate) name: &'static str,
    /// How it can; none: it cannot.
    pub(crate) there: Option<String>,
    /// What follows for a mapping.
    pub(crate) means: &'static str,
}

/// All abilities, in the order in which a mapping meets them. Every field of [`Capabilities`] has its line: one that is added fails to
/// compile here until somebody says what it means.
pub(crate) fn abilities(can: &Capabilities) -> Vec<Ability> {
    let Capabilities {
        list,
        get,
        find,
        create,
        update,
        delete,
        irreversible_delete,
        upsert,
        recover,
        since,
        since_token,
        since_starts_now,
        feed,
        webhook,
        changed_at,
        update_returns_record,
        update_is_conditional,
        update_overwrites,
        update_is_guarded,
        idempotency,
        since_overlap_ms,
        feed_overlap_ms,
        feed_retention_ms,
        timeout_ms,
    } = can;
    let proof = if can.proves_a_create([]) {
        Some("yes".to_owned())
    } else {
        let seen: Vec<String> =
            find.iter().filter(|one| one.consistent).map(|one| one.path.to_string()).collect();
        (!seen.is_empty()).then(|| format!("if `identity` matches or stamps {}", seen.join(" or ")))
    };
    let yes = |there: bool| there.then(|| "yes".to_owned());
    vec![
        one(
            "get",
            yes(*get).map(|_| format!("within {}", time(*timeout_ms))),
            "reads a record before anything is decided about it",
            "is not possible: nothing is decided about a record without reading it (M301)",
        ),
        one(
            "list",
            yes(*list),
            "compares everything in full passes (`sync.reconcile`)",
            "has no full pass over the service: a record that no event, poll or lookup shows is never met (M302)",
        ),
        one(
            "since",
            since.then(|| match (since_token, since_starts_now) {
                (false, _) => reads_again(*since_overlap_ms),
                (true, false) => "by the service's own token".to_owned(),
                (true, true) => "by the service's own token, from when it is first asked".to_owned(),
            }),
            "asks for what changed (`sync.poll`)",
            "cannot poll for changes: they come by events, else by full passes only (M302)",
        ),
        one(
            "feed",
            feed.then(|| {
                let back = feed_retention_ms.map(|kept| format!(", reaches back {}", time(kept)));
                format!("{}{}", reads_again(*feed_overlap_ms), back.unwrap_or_default())
            }),
            "reads the events that the service keeps (`sync.feed`)",
            "cannot read events afterwards: what a webhook did not deliver is met by a poll or a full pass",
        ),
        one(
            "webhook",
            yes(*webhook),
            if *list || *since || *feed {
                "is told within seconds, once the webhook's secret is set; what is not delivered is met as said above"
            } else {
                "is told within seconds, once the webhook's secret is set; what is not delivered is not made up for: nothing else shows what changed (M302)"
            },
            "is told nothing: a change is seen at the next poll, feed or full pass",
        ),
        one(
            "find",
            (!find.is_empty()).then(|| find.iter().map(lookup).collect::<Vec<_>>().join("; ")),
            "asks whether a row's counterpart exists before creating it",
            "cannot look a record up: nothing is created before the first complete walk (M303)",
        ),
        one(
            "create",
            yes(*create).or_else(|| upsert.then(|| "by upsert".into())),
            "may create records for rows",
            "cannot create records: say `creates: { from_local: ignore }` or `manual` (M301)",
        ),
        one(
            "upsert",
            yes(*upsert),
            "creates by our own key (`identity.stamp`), so twice is once",
            "creates by `create` alone",
        ),
        one(
            "idempotency",
            idempotency.as_ref().map(|one| format!("keys kept {}", time(one.keeps_ms))),
            "sends an uncertain write again under its key",
            "cannot send an uncertain write again; it is looked up first",
        ),
        one(
            "recover",
            yes(*recover),
            "lists what was created lately, to prove whether an uncertain create arrived",
            "proves an uncertain create in another way, or not at all",
        ),
        one(
            "proof of a create",
            proof,
            "never makes a record twice (rule 23)",
            "may not create: none of idempotency, upsert, recover or a consistent find is there (M301)",
        ),
        one(
            "update",
            update.then(|| {
                if *update_returns_record { "answers with the record" } else { "answers without it" }.into()
            }),
            if *update_returns_record {
                "lets fields go out"
            } else {
                "lets fields go out; each update is followed by a read (rule 15)"
            },
            "lets no field go out: `direction: in` or `immutable: true` (M301)",
        ),
        one(
            "if_match",
            yes(*update_is_conditional),
            "is refused by the service, and looks again, where a record has changed since it was read",
            match (*update, *update_overwrites) {
                (true, true) => {
                    "reads a record again right before it is updated: more is sent than what changed (`update.sends`)"
                }
                (true, false) => "reads a record before it is updated; only changed fields are sent",
                (false, _) => "has nothing to make conditional",
            },
        ),
        one(
            "guarded update",
            yes(*update_is_guarded),
            "reads a record before it is updated; what the service would not take any more parks (`update.when`)",
            "sends every update",
        ),
        one(
            "delete",
            delete.then(|| if *irreversible_delete { "for good" } else { "yes" }.into()),
            if *irreversible_delete {
                "may say `deletes: { from_local: delete, confirm: irreversible }`"
            } else {
                "may say `deletes: { from_local: delete }`"
            },
            "cannot delete there: `from_local` is `manual`, `ignore` or `unlink` (M301)",
        ),
        one(
            "changed_at",
            yes(*changed_at),
            "may say `winner: newest`",
            "cannot say `winner: newest` (M306): records do not tell when they changed",
        ),
    ]
}

fn one(name: &'static str, there: Option<String>, with: &'static str, without: &'static str) -> Ability {
    let means = if there.is_some() { with } else { without };
    Ability { name, there, means }
}

fn lookup(find: &FindCapability) -> String {
    let folds =
        if find.folds.is_empty() { "exact".to_owned() } else { format!("folds {}", find.folds.join(", ")) };
    let lag = if find.consistent { "sees the latest" } else { "may lag" };
    format!("{} ({folds}, {lag})", find.path)
}

fn reads_again(overlap_ms: u64) -> String {
    if overlap_ms == 0 { "yes".into() } else { format!("reads the last {} again", time(overlap_ms)) }
}

/// Milliseconds in the largest unit that is whole.
fn time(ms: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s")];
    match UNITS.iter().find(|(unit, _)| ms >= *unit && ms.is_multiple_of(*unit)) {
        Some((unit, name)) => format!("{}{name}", ms / unit),
        None => format!("{ms}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_says_what_a_mapping_has_to_do() {
        let none = abilities(&Capabilities::default());
        assert!(none.iter().all(|ability| ability.there.is_none()));
        let update = none.iter().find(|ability| ability.name == "update").expect("said");
        assert!(update.means.contains("direction: in") && update.means.contains("M301"));
        let some = abilities(&Capabilities { upsert: true, ..Capabilities::default() });
        let both = Capabilities { create: true, upsert: true, ..Capabilities::default() };
        assert!(!both.proves_a_create([]), "what is created otherwise than by our key is not proved by it");
        let there: Vec<&str> = some.iter().filter(|a| a.there.is_some()).map(|a| a.name).collect();
        assert_eq!(there, ["create", "upsert", "proof of a create"]);
    }

    #[test]
    fn times_are_in_whole_units() {
        assert_eq!([86_400_000, 90_000, 1500, 3_600_000].map(time), ["1d", "90s", "1500ms", "1h"]);
    }
}
