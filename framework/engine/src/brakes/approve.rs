//! What a person sees of brakes, and the one way to lift one (rules 63, 68).

use super::charges::FIRST_IMPORT;
use super::table::{APPROVED_FOR, WINDOW};
use crate::operations::Operations;
use crate::{Engine, EngineError};
use bothways_model::Timestamp;
use bothways_store::{
    AuditEntry, Brake, BrakeApproval, BrakeApproved, BrakeId, BrakeKind, ChargeKey, Withheld, WithheldSet,
};
use chrono::TimeDelta;
use serde::Serialize;
use std::sync::PoisonError;
use std::time::Duration;

/// The longest an approval can hold.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// A brake that is on, for people.
#[derive(Clone, Debug, Serialize)]
pub struct BrakeStatus {
    /// What commands name it by: `brake-7`.
    pub id: String,
    /// The mapping.
    pub mapping: String,
    /// `deletes`, `blanking`, `updates`, `empty` or `creates`.
    pub kind: String,
    /// Which part: side and field of a blanking, the empty side.
    pub part: String,
    /// Since when, RFC 3339.
    pub since: String,
    /// Why it went on, in words without record values.
    pub why: String,
    /// How many it withholds, approved ones included.
    pub withheld: u64,
    /// Of those, how many are approved and not done yet.
    pub approved: u64,
    /// How many a person would approve now.
    pub open: u64,
    /// The digest of exactly those; `None` in lists.
    pub set: Option<String>,
}

/// One thing that a brake withholds, for people.
#[derive(Clone, Debug, Serialize)]
pub struct BrakeRecord {
    /// What pages go on from.
    pub key: String,
    /// What would be done.
    pub what: String,
    /// The row.
    pub local_id: Option<String>,
    /// The record.
    pub remote_id: Option<String>,
    /// Since when it is known.
    pub since: String,
    /// Approved until then.
    pub approved_until: Option<String>,
    /// By whom.
    pub approved_by: Option<String>,
}

impl From<Withheld> for BrakeRecord {
    fn from(one: Withheld) -> Self {
        Self {
            key: one.key.to_string(),
            what: one.what,
            local_id: one.local_id.map(|id| id.0),
            remote_id: one.remote_id.map(|id| id.0),
            since: one.since.to_rfc3339(),
            approved_until: one.approved_until.map(|at| at.to_rfc3339()),
            approved_by: one.approved_by,
        }
    }
}

impl Operations {
    /// The brakes that are on.
    ///
    /// # Errors
    /// The store fails.
    pub async fn brakes(&self) -> Result<Vec<BrakeStatus>, EngineError> {
        let now = self.engine.ports.clock.now();
        let all = self.engine.store.brakes(now).await?;
        Ok(all.into_iter().map(|brake| self.brake_status(brake, None)).collect())
    }

    /// One of them, with the digest of what it withholds now.
    ///
    /// # Errors
    /// It is not on; the store fails.
    pub async fn brake(&self, id: &str) -> Result<BrakeStatus, EngineError> {
        let now = self.engine.ports.clock.now();
        let number = parse(id)?;
        let set = self.engine.store.withheld_set(number, now).await?;
        let brake = self.engine.store.brakes(now).await?.into_iter().find(|brake| brake.id == number);
        match (brake, set) {
            (Some(brake), Some(set)) => Ok(self.brake_status(brake, Some(set))),
            _ => Err(no_brake(id)),
        }
    }

    /// What a brake withholds, after `after` (a record's `key`).
    ///
    /// # Errors
    /// The store fails; `id` or `after` make no sense.
    pub async fn brake_records(
        &self,
        id: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<BrakeRecord>, EngineError> {
        let after = match after {
            Some(text) => Some(
                ChargeKey::parse(text)
                    .ok_or_else(|| EngineError::NotFound("such place in the list".into()))?,
            ),
            None => None,
        };
        let limit = limit.clamp(1, 1000);
        let records = self.engine.store.withheld(parse(id)?, after.as_ref(), limit).await?;
        Ok(records.into_iter().map(BrakeRecord::from).collect())
    }

    /// Approves exactly the set that was shown: its digest and how many it names. What is in it may be done once each, until the
    /// approval ends (after an hour where nothing is said); each look still derives it anew. Returns until when.
    ///
    /// # Errors
    /// The brake is not on, or withholds another set by now: nothing is approved then. The store fails.
    pub async fn approve_brake(
        &self,
        id: &str,
        set: &WithheldSet,
        expires: Option<Duration>,
        why: &str,
        by: &str,
    ) -> Result<Timestamp, EngineError> {
        let number = parse(id)?;
        let now = self.engine.ports.clock.now();
        if set.count == 0 {
            return Err(EngineError::Refused(format!("{id}: everything it withholds is approved already")));
        }
        if expires.is_some_and(|expires| expires > LONGEST || expires.is_zero()) {
            return Err(EngineError::Refused("an approval holds for up to 24h".into()));
        }
        let wait = expires.and_then(|expires| TimeDelta::from_std(expires).ok()).unwrap_or(APPROVED_FOR);
        let until = now + wait;
        let brake = self.engine.store.brakes(now).await?.into_iter().find(|brake| brake.id == number);
        let brake = brake.ok_or_else(|| no_brake(id))?;
        let approval = BrakeApproval { brake: number, set: set.clone(), by: by.to_owned(), until };
        let audit = AuditEntry {
            at: now,
            by: by.to_owned(),
            action: "approve-brake".into(),
            detail: serde_json::json!({
                "brake": id, "mapping": self.mapping_name(brake.name.pair), "kind": brake.name.kind, "part": brake.name.part,
                "count": set.count, "set": set.digest, "until": until, "why": why,
            }),
        };
        match self.engine.store.approve_withheld(now, &approval, &audit).await? {
            BrakeApproved::Yes => {}
            BrakeApproved::Off => return Err(no_brake(id)),
            BrakeApproved::Moved(moved) => {
                return Err(EngineError::Refused(format!(
                    "{id} withholds another set than the one that was shown: {} now, {} then. Look again and approve what is there now",
                    moved.count, set.count
                )));
            }
        }
        if brake.name.kind == BrakeKind::Empty {
            // What was stopped goes on while the approval holds.
            self.engine.want_pass(brake.name.pair).await?;
        }
        self.engine.nudge().await;
        self.engine.tell();
        Ok(until)
    }

    fn brake_status(&self, brake: Brake, set: Option<WithheldSet>) -> BrakeStatus {
        let open = set.as_ref().map_or(brake.withheld - brake.approved.min(brake.withheld), |set| set.count);
        BrakeStatus {
            id: format!("brake-{}", brake.id.0),
            mapping: self.mapping_name(brake.name.pair),
            kind: brake.name.kind.as_str().to_owned(),
            why: why(&brake),
            part: brake.name.part,
            since: brake.since.to_rfc3339(),
            withheld: brake.withheld,
            approved: brake.approved,
            open,
            set: set.map(|set| set.digest),
        }
    }
}

impl Engine {
    /// Tells the log what is withheld since now.
    pub(crate) async fn log_brakes(&self, now: Timestamp) -> Result<(), EngineError> {
        let on = self.store.brakes(now).await?;
        let known = {
            let mut known = self.brakes_known.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *known, on.iter().map(|brake| brake.id).collect())
        };
        let is_new = |brake: &&Brake| !known.contains(&brake.id) && brake.approved < brake.withheld;
        for brake in on.iter().filter(is_new) {
            let (pair, kind, id) = (brake.name.pair, brake.name.kind.as_str(), brake.id.0);
            let why = why(brake);
            tracing::error!(pair = %pair, kind, "brake-{id} is on: {why}. See `bothways brakes brake-{id}`");
        }
        Ok(())
    }
}

fn why(brake: &Brake) -> String {
    let Brake { counted, most, name, .. } = brake;
    let minutes = WINDOW.num_minutes();
    match name.kind {
        BrakeKind::Deletes => {
            format!(
                "{counted} deletes done, to come or missing within {minutes} minutes; {most} need no approval"
            )
        }
        BrakeKind::Blanking => format!(
            "field {} emptied {counted} times within {minutes} minutes or one full pass; {most} need no approval",
            name.part
        ),
        BrakeKind::Updates => format!("one full pass changes {counted} links; {most} need no approval"),
        BrakeKind::Empty => format!("the {} side lists nothing although links exist", name.part),
        BrakeKind::Creates if name.part == FIRST_IMPORT => {
            format!(
                "the first import creates more than its plan named when it was approved; {most} need no approval"
            )
        }
        BrakeKind::Creates => {
            format!(
                "{counted} records created at the service within {minutes} minutes; {most} need no approval"
            )
        }
    }
}

fn parse(id: &str) -> Result<BrakeId, EngineError> {
    let number = id.strip_prefix("brake-").and_then(|number| number.parse().ok());
    number.map(BrakeId).ok_or_else(|| no_brake(id))
}

fn no_brake(id: &str) -> EngineError {
    EngineError::NotFound(format!("brake `{id}` that is on"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bothways_model::PairId;
    use bothways_store::BrakeName;

    #[test]
    fn each_brake_says_why_it_is_on() {
        let said = |kind, part: &str| {
            let name = BrakeName { pair: PairId(1), kind, part: part.to_owned() };
            let since = Timestamp::UNIX_EPOCH;
            why(&Brake { id: BrakeId(1), name, since, withheld: 5, approved: 0, counted: 7, most: 3 })
        };
        for (kind, part, words) in [
            (
                BrakeKind::Deletes,
                "",
                "7 deletes done, to come or missing within 30 minutes; 3 need no approval",
            ),
            (
                BrakeKind::Blanking,
                "remote/phone",
                "field remote/phone emptied 7 times within 30 minutes or one full pass; 3 need no approval",
            ),
            (BrakeKind::Updates, "", "one full pass changes 7 links; 3 need no approval"),
            (BrakeKind::Empty, "remote", "the remote side lists nothing although links exist"),
            (
                BrakeKind::Creates,
                FIRST_IMPORT,
                "the first import creates more than its plan named when it was approved; 3 need no approval",
            ),
            (
                BrakeKind::Creates,
                "",
                "7 records created at the service within 30 minutes; 3 need no approval",
            ),
        ] {
            assert_eq!(said(kind, part), words);
        }
    }

    #[test]
    fn a_brake_is_named_by_its_number() {
        assert_eq!(parse("brake-7").unwrap(), BrakeId(7));
        for odd in ["7", "brake-", "brake-x", "Brake-7"] {
            assert!(parse(odd).unwrap_err().to_string().contains(odd), "{odd}");
        }
    }
}
