//! A plan file that somebody hands in, and a file of ours with whatever values, whole, cut and edited. What verifies is what was sealed,
//! and only with the installation's secret or, where a file needs none, with its own salt.

use super::{parts, text};
use bothways_engine::decide::{Action, Verdict};
use bothways_engine::{PlanAction, PlanHead, PlanItem, PlanTotals, PlanWriter, verify_plan};
use bothways_model::{Secret, Timestamp, Value};
use bothways_store::FieldBase;

/// A value that is as long as this is in a file because it was written there.
const TELLING: usize = 12;

pub fn run(data: &[u8]) {
    let secret = Secret::new("of this installation");
    if let Ok(plan) = verify_plan(data, Some(&secret)) {
        assert!(!plan.head.keyed, "sealed by somebody who does not know the secret");
    }
    if let Ok(plan) = verify_plan(data, None) {
        assert!(!plan.head.keyed, "verified without the secret");
        edited(data, data.len(), None);
    }
    let Some(text) = text(data) else { return };
    let [value, label, id, why] = parts(text);
    for (values, keyed) in [(false, true), (true, true), (true, false)] {
        let secret = keyed.then_some(&secret);
        let file = written(&head(values, keyed, why), &item(label, value, id, why), secret);
        let plan = verify_plan(file.as_slice(), secret).expect("a file of ours");
        assert_eq!((plan.items, plan.totals.update_remote), (1, 1));
        assert!(!keyed || verify_plan(file.as_slice(), Some(&Secret::new("of another"))).is_err());
        if !values && value.len() >= TELLING {
            let shown = serde_json::to_string(value).expect("JSON");
            let shows = |file: &[u8]| String::from_utf8_lossy(file).contains(&shown[1..shown.len() - 1]);
            // Whatever stands in a plan of another value too was not written there because of this one.
            let other = written(&head(values, keyed, why), &item(label, "", id, why), secret);
            assert!(!shows(&file) || shows(&other), "a plan without values shows one");
        }
        edited(&file, data.len(), secret);
        edited(&file, file.len() - 1 - data.len() % file.len(), secret);
    }
}

/// No file verifies that was cut, or of which a byte is another.
fn edited(file: &[u8], at: usize, secret: Option<&Secret>) {
    let at = at % file.len();
    assert!(verify_plan(&file[..at], secret).is_err(), "cut at {at}");
    let mut other = file.to_vec();
    other[at] ^= 1;
    assert!(verify_plan(other.as_slice(), secret).is_err(), "changed at {at}");
}

fn written(head: &PlanHead, item: &PlanItem, secret: Option<&Secret>) -> Vec<u8> {
    let mut writer = PlanWriter::begin(Vec::new(), head, secret).expect("memory");
    writer.item(item).expect("memory");
    writer.end(&PlanTotals { update_remote: 1, ..PlanTotals::default() }).expect("memory")
}

fn head(values: bool, keyed: bool, by: &str) -> PlanHead {
    PlanHead {
        format: 1,
        mapping: "customers".into(),
        connection: "stripe".into(),
        mapping_digest: "digest".into(),
        account: None,
        mode: "test".into(),
        made_at: Timestamp::UNIX_EPOCH,
        by: by.to_owned(),
        values,
        keyed,
        salt: "salt".into(),
    }
}

fn item(label: &str, value: &str, id: &str, why: &str) -> PlanItem {
    let verdict = Verdict {
        label: label.to_owned(),
        action: Action::Push,
        local: Some(Value::Text(value.into())),
        remote: None,
        base: FieldBase::default(),
        rule: 10,
        why: why.to_owned(),
    };
    PlanItem {
        action: PlanAction::Update,
        local: Some(id.to_owned()),
        remote: Some("cus_1".into()),
        fields: vec![verdict],
        why: why.to_owned(),
    }
}
