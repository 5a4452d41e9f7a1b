//! All customers: those of the start in one buffer of JSON, and what has changed since.

use super::customer::{Customer, NEWEST};
use std::collections::{BTreeMap, BTreeSet};

/// Why a call is refused.
pub(crate) enum Refusal {
    Missing(String),
    Unknown(String),
}

pub(crate) struct Shelf {
    /// The objects of the start, newest first, separated by commas.
    buffer: String,
    /// Where each begins; one more entry for the end.
    starts: Vec<usize>,
    /// Those of the start that were changed since, by place.
    changed: BTreeMap<usize, Customer>,
    /// Created since, oldest first.
    added: Vec<Customer>,
    deleted: BTreeSet<String>,
}

/// Which customers, in list order: added ones newest first, then those of the start.
#[derive(Clone, Copy)]
enum Place {
    Added(usize),
    Base(usize),
}

impl Shelf {
    pub(crate) fn new(count: usize) -> Self {
        let mut buffer = String::with_capacity(count * 950);
        let mut starts = Vec::with_capacity(count + 1);
        for index in 0..count {
            starts.push(buffer.len());
            Customer::at(index).write_json(&mut buffer);
            buffer.push(',');
        }
        starts.push(buffer.len());
        Self { buffer, starts, changed: BTreeMap::new(), added: Vec::new(), deleted: BTreeSet::new() }
    }

    fn base_len(&self) -> usize {
        self.starts.len() - 1
    }

    /// A page, newest first.
    pub(crate) fn list(&self, query: &[(String, String)]) -> Result<String, Refusal> {
        let mut limit = 10;
        let mut start = 0;
        let mut end = self.added.len() + self.base_len();
        for (key, value) in query {
            let number = || value.parse::<u64>().map_err(|_| Refusal::Unknown(format!("{key}={value}")));
            match key.as_str() {
                "limit" => limit = usize::try_from(number()?).unwrap_or(100).clamp(1, 100),
                "starting_after" => start = start.max(self.position(self.find(value)?) + 1),
                "created[gte]" => end = end.min(self.first_older_than(number()?)),
                "created[gt]" => end = end.min(self.first_older_than(number()? + 1)),
                "created[lt]" => start = start.max(self.first_older_than(number()?)),
                "created[lte]" => start = start.max(self.first_older_than(number()? + 1)),
                "email" => return Ok(self.page(self.with_email(value).into_iter().collect(), false)),
                _ => return Err(Refusal::Unknown(key.clone())),
            }
        }
        let end = end.max(start);
        let stop = end.min(start + limit);
        let (added, base) = (self.added.len(), start.max(self.added.len()));
        // A page of customers nobody has touched is a piece of the buffer.
        let untouched = start >= added
            && self.deleted.is_empty()
            && self
                .changed
                .range(base - added..stop.saturating_sub(added).max(base - added))
                .next()
                .is_none();
        if untouched && stop > start {
            let piece = &self.buffer[self.starts[start - added]..self.starts[stop - added] - 1];
            return Ok(envelope(piece, stop < end));
        }
        Ok(self.page((start..stop).map(|position| self.at(position)).collect(), stop < end))
    }

    pub(crate) fn get(&self, id: &str) -> Result<String, Refusal> {
        if self.deleted.contains(id) {
            return Ok(tombstone(id));
        }
        let mut json = String::new();
        self.write(self.find(id)?, &mut json);
        Ok(json)
    }

    pub(crate) fn create(&mut self, form: &[(String, String)]) -> Result<String, Refusal> {
        let number = self.added.len();
        let mut customer = Customer {
            id: format!("cus_new{number:08}"),
            created: NEWEST + 1 + number as u64,
            ..Customer::default()
        };
        apply(&mut customer, form)?;
        let mut json = String::new();
        customer.write_json(&mut json);
        self.added.push(customer);
        Ok(json)
    }

    pub(crate) fn update(&mut self, id: &str, form: &[(String, String)]) -> Result<String, Refusal> {
        let place = self.find(id)?;
        let customer = match place {
            Place::Added(index) => &mut self.added[index],
            Place::Base(index) => self.changed.entry(index).or_insert_with(|| Customer::at(index)),
        };
        apply(customer, form)?;
        let mut json = String::new();
        customer.write_json(&mut json);
        Ok(json)
    }

    pub(crate) fn delete(&mut self, id: &str) -> Result<String, Refusal> {
        self.find(id)?;
        self.deleted.insert(id.to_owned());
        Ok(tombstone(id))
    }

    fn find(&self, id: &str) -> Result<Place, Refusal> {
        let missing = || Refusal::Missing(id.to_owned());
        let rest = id.strip_prefix("cus_").ok_or_else(missing)?;
        let (place, count) = match rest.strip_prefix("new") {
            Some(number) => (number.parse().map(Place::Added), self.added.len()),
            None => (rest.parse().map(Place::Base), self.base_len()),
        };
        match place {
            Ok(Place::Added(index) | Place::Base(index)) if index >= count => Err(missing()),
            Ok(place) => Ok(place),
            Err(_) => Err(missing()),
        }
    }

    fn with_email(&self, email: &str) -> Option<Place> {
        let has = |customer: &Customer| customer.texts.get("email").is_some_and(|own| own == email);
        if let Some(index) = self.added.iter().position(has) {
            return Some(Place::Added(index));
        }
        let index = email.strip_prefix("customer")?.strip_suffix("@example.com")?.parse().ok()?;
        (index < self.base_len()).then_some(Place::Base(index))
    }

    fn at(&self, position: usize) -> Place {
        match position.checked_sub(self.added.len()) {
            None => Place::Added(self.added.len() - 1 - position),
            Some(index) => Place::Base(index),
        }
    }

    fn position(&self, place: Place) -> usize {
        match place {
            Place::Added(index) => self.added.len() - 1 - index,
            Place::Base(index) => self.added.len() + index,
        }
    }

    /// The position of the first customer created before a time.
    fn first_older_than(&self, time: u64) -> usize {
        let total = self.added.len() + self.base_len();
        let created = |position| match self.at(position) {
            Place::Added(index) => NEWEST + 1 + index as u64,
            Place::Base(index) => NEWEST - index as u64,
        };
        let (mut low, mut high) = (0, total);
        while low < high {
            let middle = usize::midpoint(low, high);
            if created(middle) < time { high = middle } else { low = middle + 1 }
        }
        low
    }

    fn page(&self, places: Vec<Place>, more: bool) -> String {
        let mut items = String::new();
        for place in places {
            let before = items.len();
            self.write(place, &mut items);
            if self.deleted.contains(&self.id(place)) {
                items.truncate(before);
            } else {
                items.push(',');
            }
        }
        items.pop();
        envelope(&items, more)
    }

    fn id(&self, place: Place) -> String {
        match place {
            Place::Added(index) => self.added[index].id.clone(),
            Place::Base(index) => super::id_of(index),
        }
    }

    fn write(&self, place: Place, out: &mut String) {
        match place {
            Place::Added(index) => self.added[index].write_json(out),
            Place::Base(index) => match self.changed.get(&index) {
                Some(customer) => customer.write_json(out),
                None => out.push_str(&self.buffer[self.starts[index]..self.starts[index + 1] - 1]),
            },
        }
    }
}

fn apply(customer: &mut Customer, form: &[(String, String)]) -> Result<(), Refusal> {
    match form.iter().find(|(key, value)| !customer.set(key, value)) {
        Some((key, _)) => Err(Refusal::Unknown(key.clone())),
        None => Ok(()),
    }
}

fn envelope(items: &str, more: bool) -> String {
    format!(r#"{{"object":"list","url":"/v1/customers","has_more":{more},"data":[{items}]}}"#)
}

fn tombstone(id: &str) -> String {
    format!(r#"{{"id":"{id}","object":"customer","deleted":true}}"#)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn ids(shelf: &Shelf, query: &[(&str, &str)]) -> (Vec<String>, bool) {
        let query: Vec<_> =
            query.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let page: Value = serde_json::from_str(&shelf.list(&query).ok().unwrap()).unwrap();
        let ids = page["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["id"].as_str().unwrap().to_owned())
            .collect();
        (ids, page["has_more"].as_bool().unwrap())
    }

    #[test]
    fn a_walk_meets_every_customer_once_newest_first() {
        let mut shelf = Shelf::new(250);
        let email = [("email".to_owned(), "new@example.com".to_owned())];
        shelf.create(&email).ok().unwrap();
        shelf.update("cus_0000000101", &[("name".to_owned(), "changed".to_owned())]).ok().unwrap();
        let (mut all, mut after) = (Vec::new(), String::new());
        loop {
            let query: Vec<(&str, &str)> = if after.is_empty() {
                vec![("limit", "100")]
            } else {
                vec![("limit", "100"), ("starting_after", &after)]
            };
            let (page, more) = ids(&shelf, &query);
            all.extend(page);
            after = all.last().unwrap().clone();
            if !more {
                break;
            }
        }
        assert_eq!(all.len(), 251);
        assert_eq!(all[0], "cus_new00000000");
        assert_eq!(all[250], "cus_0000000249");
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 251);
        assert!(shelf.get("cus_0000000101").ok().unwrap().contains("changed"));
    }

    #[test]
    fn created_filters_cut_the_list() {
        let shelf = Shelf::new(50);
        let since = (NEWEST - 4).to_string();
        assert_eq!(ids(&shelf, &[("limit", "100"), ("created[gte]", &since)]).0.len(), 5);
        assert_eq!(ids(&shelf, &[("limit", "100"), ("created[gt]", &since)]).0.len(), 4);
        assert_eq!(ids(&shelf, &[("limit", "100"), ("created[lt]", &since)]).0.len(), 45);
        assert_eq!(
            ids(&shelf, &[("limit", "100"), ("created[gte]", &(NEWEST + 1).to_string())]),
            (vec![], false)
        );
        assert_eq!(ids(&shelf, &[("email", "customer7@example.com")]).0, ["cus_0000000007"]);
    }
}
