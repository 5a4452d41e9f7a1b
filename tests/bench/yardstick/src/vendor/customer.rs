//! One customer of about 900 bytes: what can be written to it, and its JSON.

use std::collections::BTreeMap;
use std::fmt::Write;

/// The newest customer's time; each next one in the list is a second older.
pub(crate) const NEWEST: u64 = 1_760_000_000;

/// What a caller may set. Absent is null.
#[derive(Clone, Default)]
pub(crate) struct Customer {
    pub(crate) id: String,
    pub(crate) created: u64,
    pub(crate) texts: BTreeMap<&'static str, String>,
    pub(crate) address: BTreeMap<&'static str, String>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) balance: i64,
}

const TEXTS: [&str; 5] = ["description", "email", "name", "phone", "tax_exempt"];
const ADDRESS: [&str; 6] = ["city", "country", "line1", "line2", "postal_code", "state"];

/// The id of the customer at a place of the list as it was at the start.
pub(crate) fn id_of(index: usize) -> String {
    format!("cus_{index:010}")
}

/// The e-mail address of that customer.
pub(crate) fn email_of(index: usize) -> String {
    format!("customer{index}@example.com")
}

impl Customer {
    /// The customer at a place of the list as it was at the start.
    pub(crate) fn at(index: usize) -> Self {
        let texts = BTreeMap::from([
            ("description", format!("Customer number {index} of the yardstick")),
            ("email", email_of(index)),
            ("name", format!("Ada Lovelace {index}")),
            ("phone", format!("+4930{index:08}")),
            ("tax_exempt", "none".to_owned()),
        ]);
        let address = BTreeMap::from([
            ("city", "Berlin".to_owned()),
            ("country", "DE".to_owned()),
            ("line1", format!("Example Street {}", index % 200)),
            ("line2", "Back yard".to_owned()),
            ("postal_code", format!("{:05}", 10_000 + index % 5_000)),
            ("state", "BE".to_owned()),
        ]);
        let metadata = BTreeMap::from([
            ("plan".to_owned(), "basic".to_owned()),
            ("seat".to_owned(), format!("{index}")),
        ]);
        let balance = i64::try_from(index % 1_000).expect("small");
        Self { id: id_of(index), created: NEWEST - index as u64, texts, address, metadata, balance }
    }

    /// Sets one parameter of a form; false if it is not known.
    pub(crate) fn set(&mut self, key: &str, value: &str) -> bool {
        if let Some(known) = TEXTS.iter().find(|known| **known == key) {
            put(&mut self.texts, known, value);
        } else if let Some(part) =
            inside(key, "address").and_then(|part| ADDRESS.iter().find(|known| **known == part))
        {
            put(&mut self.address, part, value);
        } else if let Some(name) = inside(key, "metadata") {
            if value.is_empty() {
                self.metadata.remove(name);
            } else {
                self.metadata.insert(name.to_owned(), value.to_owned());
            }
        } else if key == "balance" {
            match value.parse() {
                Ok(balance) => self.balance = balance,
                Err(_) => return false,
            }
        } else {
            return false;
        }
        true
    }

    /// Appends the object as the service answers it.
    pub(crate) fn write_json(&self, out: &mut String) {
        let text = |key: &str| quoted(self.texts.get(key));
        let place = |key: &str| quoted(self.address.get(key));
        let (id, created, balance) = (&self.id, self.created, self.balance);
        let metadata = serde_json::to_string(&self.metadata).expect("strings");
        let _ = write!(
            out,
            concat!(
                r#"{{"id":"{}","object":"customer","address":{{"city":{},"country":{},"line1":{},"line2":{},"postal_code":{},"state":{}}},"#,
                r#""balance":{},"created":{},"currency":"eur","customer_account":null,"default_source":null,"delinquent":false,"#,
                r#""description":{},"discount":null,"email":{},"invoice_prefix":"YARDSTCK","invoice_settings":{{"custom_fields":null,"#,
                r#""default_payment_method":null,"footer":null,"rendering_options":null}},"livemode":false,"metadata":{},"name":{},"#,
                r#""next_invoice_sequence":1,"phone":{},"preferred_locales":["de","en"],"shipping":{{"address":{{"city":"Berlin","#,
                r#""country":"DE","line1":"Example Street 1","line2":null,"postal_code":"10115","state":null}},"name":"Front desk","phone":null}},"#,
                r#""tax_exempt":{},"test_clock":null}}"#
            ),
            id,
            place("city"),
            place("country"),
            place("line1"),
            place("line2"),
            place("postal_code"),
            place("state"),
            balance,
            created,
            text("description"),
            text("email"),
            metadata,
            text("name"),
            text("phone"),
            text("tax_exempt"),
        );
    }
}

fn put(map: &mut BTreeMap<&'static str, String>, key: &'static str, value: &str) {
    if value.is_empty() {
        map.remove(key);
    } else {
        map.insert(key, value.to_owned());
    }
}

/// `inside("address[city]", "address")` is `city`.
fn inside<'a>(key: &'a str, object: &str) -> Option<&'a str> {
    key.strip_prefix(object)?.strip_prefix('[')?.strip_suffix(']')
}

fn quoted(text: Option<&String>) -> String {
    text.map_or_else(|| "null".to_owned(), |text| serde_json::to_string(text).expect("a string"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_is_valid_has_22_fields_or_more_and_the_size_of_a_real_one() {
        let mut json = String::new();
        Customer::at(12_345).write_json(&mut json);
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert!(value.as_object().unwrap().len() >= 22, "{}", value.as_object().unwrap().len());
        assert!((850..1_000).contains(&json.len()), "{} bytes", json.len());
        assert_eq!(value["address"]["postal_code"], "12345");
    }

    #[test]
    fn forms_set_what_is_known_and_refuse_the_rest() {
        let mut customer = Customer::at(1);
        assert!(
            customer.set("name", "Grace \"Hopper\"")
                && customer.set("address[city]", "")
                && customer.set("metadata[a]", "b")
        );
        assert!(!customer.set("nmae", "x") && !customer.set("address[planet]", "x"));
        let mut json = String::new();
        customer.write_json(&mut json);
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["name"], "Grace \"Hopper\"");
        assert_eq!(value["address"]["city"], serde_json::Value::Null);
        assert_eq!(value["metadata"]["a"], "b");
    }
}
