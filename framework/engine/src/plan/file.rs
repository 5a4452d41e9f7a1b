//! The plan file: JSON lines: a head, one line for each item, an end with the sums and a seal.
//!
//! It is written and read as a stream, however long it is. Unless asked for, it holds no value of any record: of each field there is
//! a keyed hash of what would happen to it, which is enough to tell whether it still would. The key of those hashes is a secret of
//! the installation; a file that shows the values anyway needs none and is keyed by its own salt, so that it can be made before
//! anything is installed.

use super::{PlanAction, PlanItem, PlanTotals};
use crate::decide::{Action, Verdict};
use bothways_model::{Secret, Timestamp, Value};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::io::{self, BufRead, Read, Write};

/// The form of the file that this version writes and reads.
const FORMAT: u64 = 1;
/// No line of ours is longer, in bytes.
const LINE: u64 = 8 * 1024 * 1024;

/// Why a plan file is not carried out.
#[derive(Debug, thiserror::Error)]
pub enum PlanFileError {
    /// It begins with something else.
    #[error("this is not a plan file (its first line is not the head of one)")]
    NotAPlan,
    /// Another version's form.
    #[error("the plan file has form {0}, this version carries out form {FORMAT}: make a new plan")]
    Format(u64),
    /// There is no end, or a line is cut.
    #[error("the plan file ends early: it was cut off, or the plan was never finished")]
    Truncated,
    /// A line is no line of a plan.
    #[error("line {0} of the plan file is no line of a plan: it was edited or damaged")]
    Malformed(u64),
    /// The seal does not fit.
    #[error("the plan file was edited, damaged, or made on another database: its seal does not fit")]
    Seal,
    /// It can only be checked on the database it was made on.
    #[error("the plan file was made on an installed database, and nothing is installed here")]
    NoSecret,
    /// It cannot be read.
    #[error("the plan file cannot be read: {0}")]
    Io(#[from] io::Error),
}

/// The first line: of what it is a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanHead {
    /// The form of the file.
    pub format: u64,
    /// The mapping.
    pub mapping: String,
    /// Its connection.
    pub connection: String,
    /// A digest of all of the mapping that matters.
    pub mapping_digest: String,
    /// The account that was asked.
    pub account: Option<String>,
    /// `live`, `test` or `unknown`.
    pub mode: String,
    /// When it was begun.
    pub made_at: Timestamp,
    /// By whom.
    pub by: String,
    /// Whether it shows values of records.
    pub values: bool,
    /// Whether its hashes are keyed by the installation's secret.
    pub keyed: bool,
    /// Makes the hashes of two plans differ.
    pub salt: String,
}

/// One item as a file holds it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedItem {
    /// What.
    pub action: PlanAction,
    /// The row, if there is one.
    pub local: Option<String>,
    /// The record, if there is one.
    pub remote: Option<String>,
    /// Fields that travel, conflict or are refused.
    pub fields: Vec<PlannedField>,
    /// Why, for people.
    pub why: String,
}

/// One field of an item as a file holds it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedField {
    /// The field's label.
    pub label: String,
    /// What happens to it, in a word.
    pub action: String,
    /// The rule that decides.
    pub rule: u16,
    /// Why, for people.
    pub why: String,
    /// A keyed hash of the label, the action and both values.
    pub hash: String,
    /// The local value, if the plan shows values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local: Option<Value>,
    /// The remote value, if the plan shows values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<Value>,
}

/// The last line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct PlanEnd {
    items: u64,
    totals: PlanTotals,
    seal: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Plan(PlanHead),
    Item(PlannedItem),
    End(PlanEnd),
}

/// The key of a plan's hashes.
#[derive(Clone)]
pub(crate) struct PlanKey(Hmac<Sha256>);

impl PlanKey {
    fn new(secret: Option<&Secret>, salt: &str) -> Self {
        let mut of_installation = keyed(secret.map_or("", Secret::expose).as_bytes());
        of_installation.update(b"bothways plan ");
        of_installation.update(salt.as_bytes());
        Self(keyed(&of_installation.finalize().into_bytes()))
    }

    /// Of what would happen to a field; bases and reasons lead to it and are not part of it.
    fn hash(&self, verdict: &Verdict) -> String {
        let mut mac = self.0.clone();
        let text = serde_json::to_vec(&(&verdict.label, &verdict.action, &verdict.local, &verdict.remote));
        mac.update(b"field ");
        mac.update(&text.unwrap_or_default());
        hex::encode(&mac.finalize().into_bytes()[..16])
    }

    /// Whether this is exactly what was planned.
    pub(crate) fn is(&self, planned: &PlannedItem, now: &PlanItem) -> bool {
        planned.action == now.action
            && planned.local == now.local
            && planned.remote == now.remote
            && planned.fields.len() == now.fields.len()
            && self.covers(planned, now)
    }

    /// Whether all that would happen to fields was planned; something planned may be done already.
    pub(crate) fn covers(&self, planned: &PlannedItem, now: &PlanItem) -> bool {
        now.fields.iter().all(|verdict| self.plans(planned, verdict))
    }

    /// Whether exactly this was to happen to a field.
    pub(crate) fn plans(&self, planned: &PlannedItem, verdict: &Verdict) -> bool {
        let hash = self.hash(verdict);
        planned.fields.iter().any(|field| field.hash == hash)
    }
}

/// A keyed hash under this key.
pub(crate) fn keyed(key: &[u8]) -> Hmac<Sha256> {
    // HMAC takes keys of any length; should that change, an empty key makes every seal fail, and none fit by mistake.
    Hmac::new_from_slice(key).unwrap_or_else(|_| Hmac::new(&Default::default()))
}

/// Writes a plan file.
pub struct PlanWriter<W: Write> {
    out: W,
    key: PlanKey,
    seal: Hmac<Sha256>,
    values: bool,
    items: u64,
}

impl<W: Write> PlanWriter<W> {
    /// Begins a file. With the installation's secret the head must say `keyed`.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn begin(out: W, head: &PlanHead, secret: Option<&Secret>) -> io::Result<Self> {
        let key = PlanKey::new(secret.filter(|_| head.keyed), &head.salt);
        let mut seal = key.0.clone();
        seal.update(b"file ");
        let mut writer = Self { out, key, seal, values: head.values, items: 0 };
        writer.line(&Line::Plan(PlanHead { format: FORMAT, ..head.clone() }))?;
        Ok(writer)
    }

    fn line(&mut self, line: &Line) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.seal.update(&text);
        self.out.write_all(&text)
    }

    /// Adds an item.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn item(&mut self, item: &PlanItem) -> io::Result<()> {
        self.items += 1;
        let shown = |value: &Option<Value>| value.clone().filter(|_| self.values);
        let fields = item.fields.iter().map(|verdict| PlannedField {
            label: verdict.label.clone(),
            action: word(&verdict.action).to_owned(),
            rule: verdict.rule,
            why: verdict.why.clone(),
            hash: self.key.hash(verdict),
            local: shown(&verdict.local),
            remote: shown(&verdict.remote),
        });
        let line = Line::Item(PlannedItem {
            action: item.action,
            local: item.local.clone(),
            remote: item.remote.clone(),
            fields: fields.collect(),
            why: item.why.clone(),
        });
        self.line(&line)
    }

    /// Seals the file. Without this it is not a whole plan.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn end(mut self, totals: &PlanTotals) -> io::Result<W> {
        let seal = sealed(self.seal.clone(), self.items, totals);
        let end = PlanEnd {
            items: self.items,
            totals: totals.clone(),
            seal: hex::encode(seal.finalize().into_bytes()),
        };
        self.line(&Line::End(end))?;
        self.out.flush()?;
        Ok(self.out)
    }
}

fn sealed(mut seal: Hmac<Sha256>, items: u64, totals: &PlanTotals) -> Hmac<Sha256> {
    seal.update(&serde_json::to_vec(&(items, totals)).unwrap_or_default());
    seal
}

/// What happens to a field, in a word.
fn word(action: &Action) -> &'static str {
    match action {
        Action::None => "nothing",
        Action::Agree | Action::Accept => "agree",
        Action::Push => "push",
        Action::Pull => "pull",
        Action::Set(_) => "set",
        Action::Conflict { .. } => "conflict",
        Action::Unseen => "unseen",
        Action::Refuse => "refuse",
        Action::Wait { .. } => "wait",
    }
}

/// A plan file that is whole and unedited.
pub struct VerifiedPlan {
    /// Its head.
    pub head: PlanHead,
    /// How many items it has.
    pub items: u64,
    /// The sums over them.
    pub totals: PlanTotals,
    /// Names the carrying out of it, in history.
    pub id: String,
    pub(crate) key: PlanKey,
}

/// Reads a plan file to its end and checks that it is whole and unedited. Nothing of it is kept but head and sums.
///
/// # Errors
/// It is not, or it cannot be read.
pub fn verify_plan(mut file: impl BufRead, secret: Option<&Secret>) -> Result<VerifiedPlan, PlanFileError> {
    let mut line = Vec::new();
    if !read_line(&mut file, &mut line, 1)? {
        return Err(PlanFileError::NotAPlan);
    }
    let head = head_of(&line)?;
    if head.keyed && secret.is_none() {
        return Err(PlanFileError::NoSecret);
    }
    let key = PlanKey::new(secret.filter(|_| head.keyed), &head.salt);
    let mut seal = key.0.clone();
    seal.update(b"file ");
    seal.update(&line);
    let mut items = 0;
    loop {
        let number = items + 2;
        if !read_line(&mut file, &mut line, number)? {
            return Err(PlanFileError::Truncated);
        }
        match serde_json::from_slice(&line).map_err(|_| PlanFileError::Malformed(number))? {
            Line::Plan(_) => return Err(PlanFileError::Malformed(number)),
            Line::Item(_) => {
                items += 1;
                seal.update(&line);
            }
            Line::End(end) => {
                let given = hex::decode(&end.seal).map_err(|_| PlanFileError::Malformed(number))?;
                sealed(seal, end.items, &end.totals).verify_slice(&given).map_err(|_| PlanFileError::Seal)?;
                if end.items != items || read_line(&mut file, &mut line, number + 1)? {
                    return Err(PlanFileError::Malformed(number + 1));
                }
                let id = format!("plan-{}", end.seal.chars().take(16).collect::<String>());
                return Ok(VerifiedPlan { head, items, totals: end.totals, id, key });
            }
        }
    }
}

fn head_of(line: &[u8]) -> Result<PlanHead, PlanFileError> {
    let json: serde_json::Value = serde_json::from_slice(line).map_err(|_| PlanFileError::NotAPlan)?;
    let head = json.get("plan").ok_or(PlanFileError::NotAPlan)?;
    match head.get("format").and_then(serde_json::Value::as_u64) {
        Some(FORMAT) => PlanHead::deserialize(head).map_err(|_| PlanFileError::Malformed(1)),
        Some(other) => Err(PlanFileError::Format(other)),
        None => Err(PlanFileError::NotAPlan),
    }
}

/// Reads one line, never more than a bounded one; false at the end.
fn read_line(file: &mut impl BufRead, line: &mut Vec<u8>, number: u64) -> Result<bool, PlanFileError> {
    line.clear();
    if file.take(LINE).read_until(b'\n', line)? == 0 {
        return Ok(false);
    }
    if line.ends_with(b"\n") {
        Ok(true)
    } else if line.len() as u64 == LINE {
        Err(PlanFileError::Malformed(number))
    } else {
        Err(PlanFileError::Truncated)
    }
}

/// The items of a file that was verified.
pub(crate) struct PlannedItems<R> {
    file: R,
    line: u64,
    ended: bool,
}

impl<R: BufRead> PlannedItems<R> {
    pub(crate) fn of(file: R) -> Self {
        Self { file, line: 0, ended: false }
    }

    /// The next item; `None` at the end, and from there on.
    ///
    /// # Errors
    /// The file is not what was verified any more.
    pub(crate) fn read(&mut self) -> Result<Option<PlannedItem>, PlanFileError> {
        let mut line = Vec::new();
        while !self.ended {
            self.line += 1;
            if !read_line(&mut self.file, &mut line, self.line)? {
                return Err(PlanFileError::Truncated);
            }
            match serde_json::from_slice(&line).map_err(|_| PlanFileError::Malformed(self.line))? {
                Line::Plan(_) if self.line == 1 => {}
                Line::Plan(_) => return Err(PlanFileError::Malformed(self.line)),
                Line::Item(item) => return Ok(Some(item)),
                Line::End(_) => self.ended = true,
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bothways_store::FieldBase;

    fn head() -> PlanHead {
        PlanHead {
            format: FORMAT,
            mapping: "m".into(),
            connection: "c".into(),
            mapping_digest: "d".into(),
            account: None,
            mode: "test".into(),
            made_at: Timestamp::UNIX_EPOCH,
            by: "ada".into(),
            values: false,
            keyed: true,
            salt: "s".into(),
        }
    }

    fn item(value: &str) -> PlanItem {
        let verdict = Verdict {
            label: "email".into(),
            action: Action::Push,
            local: Some(Value::Text(value.into())),
            remote: Some(Value::Null),
            base: FieldBase::default(),
            rule: 10,
            why: "only the local side changed".into(),
        };
        PlanItem {
            action: PlanAction::Update,
            local: Some("1".into()),
            remote: Some("r1".into()),
            fields: vec![verdict],
            why: String::new(),
        }
    }

    fn file(head: &PlanHead, secret: Option<&Secret>) -> Vec<u8> {
        let mut writer = PlanWriter::begin(Vec::new(), head, secret).unwrap();
        writer.item(&item("ada@example.com")).unwrap();
        writer.item(&item("bob@example.com")).unwrap();
        writer.end(&PlanTotals { update_remote: 2, ..PlanTotals::default() }).unwrap()
    }

    #[test]
    fn a_whole_file_is_verified_and_holds_no_value() {
        let secret = Secret::new("secret");
        let text = file(&head(), Some(&secret));
        assert!(!String::from_utf8_lossy(&text).contains("example.com"));
        let plan = verify_plan(text.as_slice(), Some(&secret)).unwrap();
        assert_eq!((plan.items, plan.totals.update_remote), (2, 2));
        let mut items = PlannedItems::of(text.as_slice());
        let first = items.read().unwrap().unwrap();
        assert!(plan.key.is(&first, &item("ada@example.com")));
        assert!(!plan.key.is(&first, &item("bob@example.com")));
        assert!(items.read().unwrap().is_some());
        assert!(items.read().unwrap().is_none() && items.read().unwrap().is_none());
    }

    #[test]
    fn with_values_it_shows_them_and_needs_no_secret() {
        let text = file(&PlanHead { values: true, keyed: false, ..head() }, None);
        assert!(String::from_utf8_lossy(&text).contains("ada@example.com"));
        assert!(verify_plan(text.as_slice(), None).is_ok());
    }

    #[test]
    fn whatever_is_cut_or_changed_is_refused() {
        let secret = Secret::new("secret");
        let text = file(&head(), Some(&secret));
        for end in 0..text.len() {
            assert!(verify_plan(&text[..end], Some(&secret)).is_err(), "cut at {end}");
        }
        for at in 0..text.len() {
            let mut edited = text.clone();
            edited[at] ^= 1;
            assert!(verify_plan(edited.as_slice(), Some(&secret)).is_err(), "changed at {at}");
        }
        let twice = [text.clone(), text.clone()].concat();
        assert!(verify_plan(twice.as_slice(), Some(&secret)).is_err());
        let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
        let without_one = [lines[0], lines[1], lines[3]].concat();
        assert!(matches!(verify_plan(without_one.as_slice(), Some(&secret)), Err(PlanFileError::Seal)));
        let swapped = [lines[0], lines[2], lines[1], lines[3]].concat();
        assert!(matches!(verify_plan(swapped.as_slice(), Some(&secret)), Err(PlanFileError::Seal)));
    }

    #[test]
    fn another_database_or_form_is_told_apart() {
        let text = file(&head(), Some(&Secret::new("one")));
        assert!(matches!(
            verify_plan(text.as_slice(), Some(&Secret::new("other"))),
            Err(PlanFileError::Seal)
        ));
        assert!(matches!(verify_plan(text.as_slice(), None), Err(PlanFileError::NoSecret)));
        let newer = String::from_utf8(text).unwrap().replace("\"format\":1", "\"format\":2");
        assert!(matches!(verify_plan(newer.as_bytes(), None), Err(PlanFileError::Format(2))));
        assert!(matches!(verify_plan("{}\n".as_bytes(), None), Err(PlanFileError::NotAPlan)));
        assert!(matches!(verify_plan("".as_bytes(), None), Err(PlanFileError::NotAPlan)));
    }
}
