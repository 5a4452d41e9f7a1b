//! The fields of a customer: what a new one looks like, and what each parameter does to it.

use crate::errors::ApiError;
use crate::params::{Given, Reader};
use serde_json::{Map, Value, json};

/// Metadata limits, as published.
const METADATA_KEYS: usize = 50;
const METADATA_KEY_CHARS: usize = 40;
const METADATA_VALUE_CHARS: usize = 500;
/// What Stripe allows for most texts.
const TEXT: usize = 5_000;

const ADDRESS: [&str; 6] = ["city", "country", "line1", "line2", "postal_code", "state"];

/// A customer without any parameter applied.
pub(crate) fn blank(id: &str, created: i64, invoice_prefix: &str) -> Map<String, Value> {
    let blank = json!({
        "id": id,
        "object": "customer",
        "address": null,
        "balance": 0,
        "created": created,
        "currency": null,
        "default_source": null,
        "delinquent": false,
        "description": null,
        "discount": null,
        "email": null,
        "invoice_prefix": invoice_prefix,
        "invoice_settings": {
            "custom_fields": null,
            "default_payment_method": null,
            "footer": null,
            "rendering_options": null,
        },
        "livemode": false,
        "metadata": {},
        "name": null,
        "next_invoice_sequence": 1,
        "phone": null,
        "preferred_locales": [],
        "shipping": null,
        "tax_exempt": "none",
        "test_clock": null,
    });
    match blank {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// Applies the parameters of a create or an update. Metadata and `invoice_settings` merge; `address` and `shipping` are
/// replaced as a whole, and the parts of them that are not given become null.
pub(crate) fn apply(customer: &mut Map<String, Value>, mut reader: Reader) -> Result<(), ApiError> {
    for (name, max) in [("name", 256), ("description", 350), ("phone", 20)] {
        set_text(customer, &mut reader, name, max)?;
    }
    if let Some(email) = reader.text("email", 512)? {
        let email = email.into_option();
        if let Some(text) = &email {
            check_email(text)?;
        }
        customer.insert("email".into(), email.into());
    }
    if let Some(balance) = reader.integer("balance")? {
        customer.insert("balance".into(), balance.into());
    }
    if let Some(number) = reader.integer("next_invoice_sequence")? {
        if number < 1 {
            let text = format!("This value must be greater than or equal to 1 (it currently is '{number}').");
            return Err(ApiError::invalid(text).of("next_invoice_sequence"));
        }
        customer.insert("next_invoice_sequence".into(), number.into());
    }
    if let Some(prefix) = reader.solid_text("invoice_prefix", 12)? {
        if prefix.len() < 3 || !prefix.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()) {
            let text = "Invoice prefixes must be 3 to 12 uppercase letters or numbers.";
            return Err(ApiError::invalid(text).of("invoice_prefix"));
        }
        customer.insert("invoice_prefix".into(), prefix.into());
    }
    if let Some(exempt) = reader.text("tax_exempt", 64)? {
        let exempt = exempt.into_option().unwrap_or_else(|| "none".into());
        if !["none", "exempt", "reverse"].contains(&exempt.as_str()) {
            let text = "Invalid tax_exempt: must be one of none, exempt, or reverse";
            return Err(ApiError::invalid(text).of("tax_exempt"));
        }
        customer.insert("tax_exempt".into(), exempt.into());
    }
    if let Some(locales) = reader.texts("preferred_locales")? {
        customer.insert("preferred_locales".into(), locales.into_option().unwrap_or_default().into());
    }
    if let Some(address) = read_address(&mut reader, "address")? {
        customer.insert("address".into(), address);
    }
    if let Some(shipping) = read_shipping(&mut reader)? {
        customer.insert("shipping".into(), shipping);
    }
    if let Some(Given::Value(given)) = reader.hash("invoice_settings")?
        && let Some(settings) = hash_at(customer, "invoice_settings")
    {
        apply_invoice_settings(settings, given)?;
    }
    if let Some(given) = reader.hash("metadata")?
        && let Some(metadata) = hash_at(customer, "metadata")
    {
        apply_metadata(metadata, given)?;
    }
    reader.finish()
}

/// Merges metadata: an empty value removes its key, an empty hash removes all.
pub(crate) fn apply_metadata(
    metadata: &mut Map<String, Value>,
    given: Given<Reader>,
) -> Result<(), ApiError> {
    let Given::Value(reader) = given else {
        metadata.clear();
        return Ok(());
    };
    for (key, value) in reader.pairs()? {
        let (key_chars, value_chars) = (key.chars().count(), value.chars().count());
        if key_chars > METADATA_KEY_CHARS {
            return Err(metadata_error(format!(
                "Metadata keys can have up to {METADATA_KEY_CHARS} characters, but you passed in a key that is \
                 {key_chars} characters. Invalid key: {key}"
            )));
        }
        if key.is_empty() || key.contains(['[', ']']) {
            return Err(metadata_error("Metadata keys cannot be empty or contain square brackets.".into()));
        }
        if value_chars > METADATA_VALUE_CHARS {
            return Err(metadata_error(format!(
                "Metadata values can have up to {METADATA_VALUE_CHARS} characters, but you passed in a value that is \
                 {value_chars} characters. Invalid value: {value}"
            )));
        }
        if value.is_empty() {
            metadata.shift_remove(&key);
        } else {
            metadata.insert(key, value.into());
        }
    }
    if metadata.len() > METADATA_KEYS {
        let count = metadata.len();
        return Err(metadata_error(format!(
            "Metadata can have up to {METADATA_KEYS} keys, but you passed in {count} keys."
        )));
    }
    Ok(())
}

fn metadata_error(message: String) -> ApiError {
    ApiError::invalid(message).of("metadata")
}

fn set_text(
    into: &mut Map<String, Value>,
    reader: &mut Reader,
    name: &str,
    max: usize,
) -> Result<(), ApiError> {
    if let Some(text) = reader.text(name, max)? {
        into.insert(name.to_owned(), text.into_option().into());
    }
    Ok(())
}

fn check_email(email: &str) -> Result<(), ApiError> {
    let fits = match email.rsplit_once('@') {
        Some((user, host)) => !user.is_empty() && !host.is_empty() && !email.contains(char::is_whitespace),
        None => false,
    };
    if fits {
        return Ok(());
    }
    Err(ApiError::invalid(format!("Invalid email address: {email}")).with_code("email_invalid").of("email"))
}

fn read_address(reader: &mut Reader, name: &str) -> Result<Option<Value>, ApiError> {
    let Some(given) = reader.hash(name)? else { return Ok(None) };
    let Given::Value(mut parts) = given else { return Ok(Some(Value::Null)) };
    let mut address = Map::new();
    for part in ADDRESS {
        let text = parts.text(part, TEXT)?.and_then(Given::into_option);
        address.insert(part.to_owned(), text.into());
    }
    parts.finish()?;
    Ok(Some(Value::Object(address)))
}

fn read_shipping(reader: &mut Reader) -> Result<Option<Value>, ApiError> {
    let Some(given) = reader.hash("shipping")? else { return Ok(None) };
    let Given::Value(mut parts) = given else { return Ok(Some(Value::Null)) };
    let address =
        read_address(&mut parts, "address")?.ok_or_else(|| ApiError::required("shipping[address]"))?;
    let name = parts.solid_text("name", TEXT)?.ok_or_else(|| ApiError::required("shipping[name]"))?;
    let phone = parts.text("phone", TEXT)?.and_then(Given::into_option);
    parts.finish()?;
    Ok(Some(json!({ "address": address, "name": name, "phone": phone })))
}

fn apply_invoice_settings(settings: &mut Map<String, Value>, mut reader: Reader) -> Result<(), ApiError> {
    set_text(settings, &mut reader, "footer", TEXT)?;
    set_text(settings, &mut reader, "default_payment_method", TEXT)?;
    if let Some(fields) = reader.hashes("custom_fields")? {
        let read = |mut field: Reader| {
            let (name, value) = (field.solid_text("name", 40)?, field.solid_text("value", 140)?);
            let required = |part: &str| ApiError::required(&field.name(part));
            let pair = json!({
                "name": name.ok_or_else(|| required("name"))?,
                "value": value.ok_or_else(|| required("value"))?,
            });
            field.finish().map(|()| pair)
        };
        let fields = match fields {
            Given::Empty => Value::Null,
            Given::Value(fields) => Value::Array(fields.into_iter().map(read).collect::<Result<_, _>>()?),
        };
        settings.insert("custom_fields".into(), fields);
    }
    match reader.hash("rendering_options")? {
        None => {}
        Some(Given::Empty) => {
            settings.insert("rendering_options".into(), Value::Null);
        }
        Some(Given::Value(mut options)) => {
            let mut read = |name| Ok::<_, ApiError>(options.text(name, TEXT)?.and_then(Given::into_option));
            let (display, template) = (read("amount_tax_display")?, read("template")?);
            options.finish()?;
            let options = json!({ "amount_tax_display": display, "template": template });
            settings.insert("rendering_options".into(), options);
        }
    }
    reader.finish()
}

/// The hash at `name`, which [`blank`] made and nothing replaces.
fn hash_at<'a>(map: &'a mut Map<String, Value>, name: &str) -> Option<&'a mut Map<String, Value>> {
    map.get_mut(name).and_then(Value::as_object_mut)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::form::Params;

    fn change(customer: &mut Map<String, Value>, form: &str) -> Result<(), ApiError> {
        apply(customer, Reader::new(Params::decode(form)?))
    }

    fn customer(form: &str) -> Map<String, Value> {
        let mut customer = blank("cus_1", 5, "AAAA0000");
        change(&mut customer, form).unwrap();
        customer
    }

    #[test]
    fn metadata_merges_and_empties() {
        let mut c = customer("metadata[a]=1&metadata[b]=2");
        change(&mut c, "metadata[b]=&metadata[c]=3").unwrap();
        assert_eq!(c["metadata"], json!({"a": "1", "c": "3"}));
        change(&mut c, "name=x").unwrap();
        assert_eq!(c["metadata"], json!({"a": "1", "c": "3"}));
        change(&mut c, "metadata=").unwrap();
        assert_eq!(c["metadata"], json!({}));
    }

    #[test]
    fn metadata_limits_hold_at_their_edges() {
        let key = |n: usize| "k".repeat(n);
        let mut c = customer("");
        assert!(change(&mut c, &format!("metadata[{}]=v", key(40))).is_ok());
        assert!(change(&mut c, &format!("metadata[{}]=v", key(41))).is_err());
        assert!(change(&mut c, &format!("metadata[a]={}", "é".repeat(500))).is_ok());
        assert!(change(&mut c, &format!("metadata[a]={}", "é".repeat(501))).is_err());
        let many = |n: usize| (0..n).map(|i| format!("metadata[m{i}]=1")).collect::<Vec<_>>().join("&");
        assert!(change(&mut customer(""), &many(50)).is_ok());
        let error = change(&mut customer(""), &many(51)).unwrap_err();
        assert_eq!((error.status, error.param.as_deref()), (400, Some("metadata")));
    }

    #[test]
    fn empty_texts_unset() {
        let mut c = customer(
            "email=a@b.c&name=Ann&phone=1&address[city]=Ulm&preferred_locales[]=de&tax_exempt=reverse",
        );
        change(&mut c, "email=&name=&phone=&address=&preferred_locales=&tax_exempt=").unwrap();
        for name in ["email", "name", "phone", "address"] {
            assert_eq!(c[name], Value::Null, "{name}");
        }
        assert_eq!(c["preferred_locales"], json!([]));
        assert_eq!(c["tax_exempt"], "none");
        assert_eq!(change(&mut c, "balance=").unwrap_err().code, Some("parameter_invalid_empty"));
    }

    #[test]
    fn address_is_replaced_as_a_whole_and_shipping_is_checked() {
        let mut c = customer("address[city]=Ulm&address[line1]=Weg 1");
        change(&mut c, "address[city]=Bonn").unwrap();
        assert_eq!(c["address"]["city"], "Bonn");
        assert_eq!(c["address"]["line1"], Value::Null);
        assert_eq!(
            change(&mut c, "shipping[address][city]=Ulm").unwrap_err().param.as_deref(),
            Some("shipping[name]")
        );
        change(&mut c, "shipping[address][city]=Ulm&shipping[name]=Ann").unwrap();
        assert_eq!(c["shipping"]["address"]["city"], "Ulm");
    }

    #[test]
    fn refusals_name_their_parameter() {
        for (form, code, param) in [
            ("bogus=1", Some("parameter_unknown"), "bogus"),
            ("address[planet]=Mars", Some("parameter_unknown"), "address[planet]"),
            ("email=nobody", Some("email_invalid"), "email"),
            ("balance=much", Some("parameter_invalid_integer"), "balance"),
            ("phone=123456789012345678901", None, "phone"),
            ("metadata=text", None, "metadata"),
            ("metadata[a][b]=1", None, "metadata[a]"),
            ("name[first]=Ann", None, "name"),
            (
                "invoice_settings[custom_fields][0][name]=a",
                Some("parameter_missing"),
                "invoice_settings[custom_fields][0][value]",
            ),
        ] {
            let error = change(&mut customer(""), form).unwrap_err();
            assert_eq!((error.code, error.param.as_deref()), (code, Some(param)), "{form}");
            assert!(!error.began);
        }
    }

    #[test]
    fn invoice_settings_merge() {
        let mut c = customer(
            "invoice_settings[footer]=Thanks&invoice_settings[custom_fields][0][name]=PO&invoice_settings[custom_fields][0][value]=7",
        );
        change(&mut c, "invoice_settings[default_payment_method]=pm_1").unwrap();
        assert_eq!(c["invoice_settings"]["footer"], "Thanks");
        assert_eq!(c["invoice_settings"]["custom_fields"], json!([{"name": "PO", "value": "7"}]));
    }
}
