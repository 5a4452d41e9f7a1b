//! Both sides, record by record: the rows by SQL, the records by the service's own list, and the links between them.

use crate::real::patience::{hold, until};
use crate::real::peer::{Customer, Peer};
use crate::real::table::{Link, Row, Table};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Everything there is.
pub(crate) struct Sides {
    rows: BTreeMap<String, Row>,
    customers: BTreeMap<String, Customer>,
    links: Vec<Link>,
}

impl Sides {
    /// Reads it.
    pub(crate) async fn read(table: &Table, peer: &Peer) -> Self {
        let rows = table.rows().await.into_iter().map(|row| (row.id.to_string(), row)).collect();
        let listed = peer.customers().await;
        let customers: BTreeMap<String, Customer> =
            listed.iter().map(|customer| (customer.id.clone(), customer.clone())).collect();
        assert_eq!(listed.len(), customers.len(), "no record is listed twice");
        Self { rows, customers, links: table.links().await }
    }

    /// Whether each row has exactly one record, equal in every field, and the other way round.
    ///
    /// # Errors
    /// Says where they differ.
    pub(crate) fn in_step(&self, expected: usize) -> Result<(), String> {
        let counts = [self.rows.len(), self.customers.len(), self.links.len()];
        hold(counts == [expected; 3], || {
            format!("rows, records and links are {counts:?}, expected {expected}{}", self.doubled())
        })?;
        self.bijection()?;
        for link in &self.links {
            let row = link.local_id.as_ref().and_then(|id| self.rows.get(id));
            let customer = link.remote_id.as_ref().and_then(|id| self.customers.get(id));
            let (Some(row), Some(customer)) = (row, customer) else {
                return Err(format!("a link to nothing: {link:?}"));
            };
            let equal = fold(&row.email) == fold(&customer.email)
                && row.name == customer.name
                && row.phone == customer.phone;
            hold(equal, || format!("{row:?} differs from {customer:?}"))?;
        }
        Ok(())
    }

    /// No id is in two links, and every link is whole.
    fn bijection(&self) -> Result<(), String> {
        let mut local: Vec<&String> = self.links.iter().filter_map(|l| l.local_id.as_ref()).collect();
        let mut remote: Vec<&String> = self.links.iter().filter_map(|l| l.remote_id.as_ref()).collect();
        let whole = local.len() == self.links.len()
            && remote.len() == self.links.len()
            && self.links.iter().all(|link| link.state == "linked");
        local.sort();
        local.dedup();
        remote.sort();
        remote.dedup();
        hold(whole && local.len() == self.links.len() && remote.len() == self.links.len(), || {
            let odd: Vec<&Link> = self.links.iter().filter(|link| link.state != "linked").collect();
            format!("the links are no bijection; not linked: {odd:?}")
        })
    }

    /// E-mails that are there more than once, for a message.
    fn doubled(&self) -> String {
        let mut counts: BTreeMap<String, (u32, u32)> = BTreeMap::new();
        for row in self.rows.values() {
            counts.entry(fold(&row.email)).or_default().0 += 1;
        }
        for customer in self.customers.values() {
            counts.entry(fold(&customer.email)).or_default().1 += 1;
        }
        counts.retain(|_, (rows, records)| *rows != 1 || *records != 1);
        let few: Vec<_> = counts.iter().take(5).collect();
        if few.is_empty() { String::new() } else { format!("; e-mail: (rows, records) {few:?}") }
    }

    /// The rows and the records with this e-mail, however written.
    pub(crate) fn with_email(&self, email: &str) -> (Vec<&Row>, Vec<&Customer>) {
        let rows = self.rows.values().filter(|row| fold(&row.email) == email).collect();
        let customers = self.customers.values().filter(|customer| fold(&customer.email) == email).collect();
        (rows, customers)
    }

    /// What both sides hold in this field of a linked row, if the row is there.
    pub(crate) fn value(&self, local_id: &str, field: &str) -> Option<String> {
        let row = self.rows.get(local_id)?;
        Some(match field {
            "name" => row.name.clone().unwrap_or_default(),
            "phone" => row.phone.clone().unwrap_or_default(),
            _ => row.email.clone(),
        })
    }

    /// Whether nobody is there twice: no e-mail on two rows or two records, no stamp on two records.
    ///
    /// # Errors
    /// Says who is.
    pub(crate) fn nobody_twice(&self) -> Result<(), String> {
        let doubled = self.doubled();
        hold(doubled.is_empty(), || doubled)?;
        let stamps: Vec<&String> = self.customers.values().filter_map(|c| c.stamp.as_ref()).collect();
        let different: BTreeSet<&String> = stamps.iter().copied().collect();
        hold(stamps.len() == different.len(), || "a stamp is on two records".into())
    }

    /// The links.
    pub(crate) fn links(&self) -> &[Link] {
        &self.links
    }

    /// Leaves out what has this e-mail.
    pub(crate) fn without(mut self, email: &str) -> Self {
        self.rows.retain(|_, row| fold(&row.email) != email);
        self.customers.retain(|_, customer| fold(&customer.email) != email);
        self
    }
}

/// Waits until both sides are in step.
pub(crate) async fn wait_until_in_step(table: &Table, peer: &Peer, expected: usize, limit: Duration) {
    until("both sides in step", limit, async || Sides::read(table, peer).await.in_step(expected)).await;
}

/// What the mapping normalises e-mails by.
pub(crate) fn fold(email: &str) -> String {
    email.trim().to_lowercase()
}
