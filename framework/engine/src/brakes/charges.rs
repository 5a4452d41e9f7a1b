//! What is charged for what. Pure.

use super::table::{WINDOW, first_import, limit};
use crate::decide::{Action, Verdict};
use bothways_mapping::Mapping;
use bothways_mapping::mapping::FromLocalDelete;
use bothways_model::{LinkId, LocalId, PairId, Timestamp, Value};
use bothways_store::{BrakeKind, BrakeName, Charge, ChargeKey, Limit, PassMark, Ripening, Side};
use chrono::TimeDelta;

/// What charges have in common.
#[derive(Clone, Copy)]
pub(crate) struct Braked<'a> {
    /// The pair.
    pub pair: PairId,
    /// Its mapping.
    pub mapping: &'a Mapping,
    /// The time of the look.
    pub now: Timestamp,
    /// The full pass it comes from, if it is nobody else's.
    pub pass: Option<PassMark>,
}

impl Braked<'_> {
    fn charge(&self, kind: BrakeKind, part: String, key: ChargeKey, what: String) -> Charge {
        Charge {
            brake: BrakeName { pair: self.pair, kind, part },
            key,
            what,
            limit: limit(kind, &self.mapping.safety),
            since: self.now - WINDOW,
            ripening: None,
        }
    }

    /// A delete on `side`, known since `known` (rule 56).
    pub(crate) fn delete(&self, link: LinkId, side: Side, known: Timestamp, wait: TimeDelta) -> Charge {
        let what = format!("delete the {}", thing(side));
        let captured = self.mapping.deletes.from_local == FromLocalDelete::Delete;
        Charge {
            ripening: Some(Ripening { since: known, wait, captured }),
            ..self.charge(BrakeKind::Deletes, String::new(), ChargeKey::Link(link), what)
        }
    }

    /// A field emptied on `side` (rule 57). A full pass counts as one window, however long it takes.
    pub(crate) fn blanking(&self, link: LinkId, side: Side, field: &str) -> Charge {
        let what = format!("empty `{field}` of the {}", thing(side));
        let part = format!("{}/{field}", side.as_str());
        let mut charge = self.charge(BrakeKind::Blanking, part, ChargeKey::Link(link), what);
        if let Some(pass) = self.pass {
            charge.since = charge.since.min(pass.began);
        }
        charge
    }

    /// A link changed by a full pass that no approval covers (rule 58).
    pub(crate) fn update(&self, link: LinkId) -> Option<Charge> {
        let pass = self.pass.filter(|pass| !pass.approved)?;
        let what = "write what a full pass found different".to_owned();
        let mut charge = self.charge(BrakeKind::Updates, String::new(), ChargeKey::Link(link), what);
        charge.since = pass.began;
        Some(charge)
    }

    /// A record created for a row (rule 60). What a first import creates without a plan that somebody saw is not charged.
    pub(crate) fn create(&self, row: &LocalId) -> Option<Charge> {
        match self.pass {
            Some(pass) if pass.approved => None,
            _ => Some(self.creation(row, String::new())),
        }
    }

    /// The same for a pair's first import, whose plan named so many: all of them count, from the first complete walk on.
    pub(crate) fn first_create(&self, row: &LocalId, named: u64, walked: Timestamp) -> Charge {
        let charge = self.creation(row, FIRST_IMPORT.to_owned());
        Charge { limit: Limit::flat(first_import(named)), since: walked, ..charge }
    }

    fn creation(&self, row: &LocalId, part: String) -> Charge {
        let what = "create its record at the service".to_owned();
        self.charge(BrakeKind::Creates, part, ChargeKey::Row(row.clone()), what)
    }
}

/// The part of the creates brake that is about a first import.
pub(super) const FIRST_IMPORT: &str = "first import";

/// A full pass that found a side empty although there are links (rule 59).
pub(crate) fn empty_side(pair: PairId, side: Side, links: u64, now: Timestamp) -> Charge {
    Charge {
        brake: BrakeName { pair, kind: BrakeKind::Empty, part: side.as_str().to_owned() },
        key: ChargeKey::Pass,
        what: format!(
            "go on with a full pass although the {} side lists nothing; links: {links}",
            side.as_str()
        ),
        limit: Limit::flat(0),
        since: now,
        ripening: None,
    }
}

fn thing(side: Side) -> &'static str {
    match side {
        Side::Local => "row",
        Side::Remote => "record at the service",
    }
}

/// Whether a verdict empties a field that holds something, and on which side. A value that a person chose is not looked at.
pub(crate) fn blanks(verdict: &Verdict) -> Option<Side> {
    let blank = |value: &Option<Value>| value.as_ref().is_some_and(Value::is_blank);
    let full = |value: &Option<Value>| value.as_ref().is_some_and(|value| !value.is_blank());
    match verdict.action {
        Action::Push if blank(&verdict.local) && full(&verdict.remote) => Some(Side::Remote),
        Action::Pull if blank(&verdict.remote) && full(&verdict.local) => Some(Side::Local),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bothways_mapping::{SourceFile, load};
    use std::sync::Arc;

    const SHOP: &str = "connector: shop\nhttp: { base_url: \"https://shop.example\" }\nresources:\n  people:\n    id: $.id\n    list: GET /people\n    get: GET /people/{id}\n    create: POST /people\n    update: PATCH /people/{id}\n    delete: DELETE /people/{id}\n";
    const PEOPLE: &str = "catalog: people\ntable: people\nkey: id\nfields: { id: int, name: text? }\n";

    fn mapping(policies: &str) -> Arc<Mapping> {
        let text = format!(
            "mapping: shop-people\nlocal: people\nremote: shop/people\nfields: {{ name: $.name }}\ncreates: {{ from_local: ignore }}\nsync: {{ reconcile: 1h }}\n{policies}\n"
        );
        let files = [("shop.yaml", SHOP), ("people.yaml", PEOPLE), ("shop-people.yaml", &text)];
        let loaded = load(&files.map(|(name, text)| SourceFile::new(name, text)), &[]);
        loaded.project.unwrap_or_else(|| panic!("{:#?}", loaded.findings)).mappings[0].clone()
    }

    fn at(minutes: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + TimeDelta::minutes(minutes)
    }

    fn look(mapping: &Mapping, pass: Option<PassMark>) -> Braked<'_> {
        Braked { pair: PairId(1), mapping, now: at(100), pass }
    }

    /// A pass that began an hour before the look.
    fn pass(approved: bool) -> Option<PassMark> {
        Some(PassMark { began: at(40), approved })
    }

    fn link() -> LinkId {
        LinkId(uuid::Uuid::nil())
    }

    /// Rules 58 and 60: a full pass is charged unless what it changes was approved; what users change is no storm.
    #[test]
    fn an_approved_pass_charges_neither_updates_nor_creates() {
        let mapping = mapping("");
        let charged = |pass| {
            let look = look(&mapping, pass);
            (look.update(link()).is_some(), look.create(&LocalId::from("1")).is_some())
        };
        assert_eq!(charged(None), (false, true));
        assert_eq!(charged(pass(false)), (true, true));
        assert_eq!(charged(pass(true)), (false, false));
    }

    #[test]
    fn what_counts_together_is_half_an_hour_or_a_whole_pass() {
        let mapping = mapping("");
        let since = |charge: Charge| charge.since;
        let (alone, with) = (look(&mapping, None), look(&mapping, pass(false)));
        assert_eq!(since(alone.blanking(link(), Side::Local, "name")), at(70));
        assert_eq!(since(with.blanking(link(), Side::Local, "name")), at(40));
        let short = Some(PassMark { began: at(99), approved: false });
        assert_eq!(since(look(&mapping, short).blanking(link(), Side::Local, "name")), at(70));
        assert_eq!(with.update(link()).map(since), Some(at(40)));
        assert_eq!(with.create(&LocalId::from("1")).map(since), Some(at(70)));
        assert_eq!(since(with.delete(link(), Side::Remote, at(99), TimeDelta::seconds(5))), at(70));
        // A first import counts as a whole, against what its plan named.
        let first = alone.first_create(&LocalId::from("1"), 5, at(3));
        assert_eq!(
            (first.since, first.limit, first.brake.part.as_str()),
            (at(3), Limit::flat(15), FIRST_IMPORT)
        );
    }

    /// Deletes that were captured and have no charge yet count where the mapping carries deletes out (rule 56).
    #[test]
    fn captured_deletes_count_where_they_are_carried_out() {
        let captured = |policies: &str| {
            let mapping = mapping(policies);
            let charge = look(&mapping, None).delete(link(), Side::Remote, at(99), TimeDelta::seconds(5));
            charge.ripening.map(|ripening| (ripening.since, ripening.wait, ripening.captured))
        };
        let wait = TimeDelta::seconds(5);
        assert_eq!(captured("deletes: { from_local: manual }"), Some((at(99), wait, false)));
        assert_eq!(
            captured("deletes: { from_local: delete, confirm: irreversible }"),
            Some((at(99), wait, true))
        );
    }
}
