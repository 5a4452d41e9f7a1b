//! Which local field is probably which place in a remote record, by name and by type. What is not sure is left to a person.

use super::sample::Place;
use crate::moment::is_moment;
use bothways_model::{CatalogField, FieldType};
use serde_json::Value as Json;

/// Words that mean the same, without case and punctuation.
const SYNONYMS: &[&[&str]] = &[
    &["email", "emailaddress", "mail", "primaryemail"],
    &["firstname", "givenname", "forename", "fname"],
    &["lastname", "familyname", "surname", "lname"],
    &["name", "fullname", "displayname"],
    &["phone", "phonenumber", "telephone", "tel", "phoneno"],
    &["mobile", "mobilephone", "cell", "cellphone", "mobilenumber"],
    &["company", "companyname", "organization", "organisation"],
    &["street", "line1", "address1", "addressline1", "streetaddress"],
    &["city", "town", "locality"],
    &["zip", "zipcode", "postalcode", "postcode"],
    &["country", "countrycode"],
    &["state", "region", "province"],
    &["birthday", "birthdate", "dateofbirth", "dob"],
    &["website", "homepage", "url", "web"],
    &["jobtitle", "title", "position"],
    &["description", "memo", "note", "notes", "comment"],
    &["createdat", "created", "createdon", "createdate", "createddate"],
    &["updatedat", "updated", "modified", "modifiedat", "lastmodified", "lastmodifieddate", "lastmodifiedat"],
    &["dueat", "duedate", "due"],
];

/// Names of what a service keeps itself: they only come in.
const KEPT_BY_SERVICE: [usize; 2] = [16, 17];

/// What is proposed for a local field.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Proposal {
    /// This place, written so: `as`, if the type needs a codec.
    Sure { place: usize, codec: Option<&'static str>, only_in: bool },
    /// This place perhaps, and why it is not sure.
    Unsure { place: usize, why: String },
    /// Nothing looks like it.
    None,
}

/// A proposal for each of `fields`, in their order. A place is proposed once; likelier pairs choose first.
pub(crate) fn pair(fields: &[&CatalogField], places: &[Place]) -> Vec<Proposal> {
    let mut likely: Vec<(u32, usize, usize)> = Vec::new();
    for (f, field) in fields.iter().enumerate() {
        for (p, place) in places.iter().enumerate() {
            let alike = alike(&field.name, place);
            if alike > 0 {
                // Of two places with one name the one that is less deep is meant.
                let depth = u32::try_from(place.path.0.len()).unwrap_or(u32::MAX).min(9);
                likely.push((alike * 10 + (9 - depth), f, p));
            }
        }
    }
    likely.sort_by_key(|(score, f, p)| (std::cmp::Reverse(*score), *f, *p));
    let mut proposals = vec![Proposal::None; fields.len()];
    let mut taken = vec![false; places.len()];
    for (score, f, p) in likely {
        let (Some(field), Some(place), Some(taken)) = (fields.get(f), places.get(p), taken.get_mut(p)) else {
            continue;
        };
        let Some(proposal) = proposals.get_mut(f).filter(|one| **one == Proposal::None) else { continue };
        if *taken {
            continue;
        }
        *taken = true;
        *proposal = match (fit(&field.ty, place.value.as_ref()), score >= 20) {
            (Ok(codec), true) => {
                Proposal::Sure { place: p, codec, only_in: is_kept_by_service(place.name()) }
            }
            (Ok(_), false) => {
                Proposal::Unsure { place: p, why: "only a part of the name is the same".into() }
            }
            (Err(why), _) => Proposal::Unsure { place: p, why },
        };
    }
    proposals
}

/// 3: the same name; 2: another word for it; 1: a part of it; 0: nothing.
fn alike(field: &str, place: &Place) -> u32 {
    let (a, b) = (plain(field), plain(place.name()));
    // `$.address.city` may be called address_city here.
    let whole = plain(&place.path.to_string());
    if a.is_empty() || b.is_empty() {
        return 0;
    }
    if a == b || a == whole {
        return 3;
    }
    if group(&a).is_some() && group(&a) == group(&b) {
        return 2;
    }
    let (short, long) = if a.len() < b.len() { (&a, &b) } else { (&b, &a) };
    u32::from(short.len() >= 4 && long.contains(short.as_str()))
}

/// A name without case and punctuation: `E-Mail`, `e_mail` and `email` are one, and so are `active` and `is_active`.
fn plain(name: &str) -> String {
    let name = ["is_", "Is_", "has_"].iter().find_map(|flag| name.strip_prefix(flag)).unwrap_or(name);
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn group(plain: &str) -> Option<usize> {
    SYNONYMS.iter().position(|words| words.contains(&plain))
}

fn is_kept_by_service(name: &str) -> bool {
    group(&plain(name)).is_some_and(|group| KEPT_BY_SERVICE.contains(&group))
}

/// The codec between a type and what the sample has, none where the types are the same; else why it is not sure.
fn fit(ty: &FieldType, value: Option<&Json>) -> Result<Option<&'static str>, String> {
    let value = value.filter(|value| !value.is_null());
    let other = || Err(format!("`{ty}` here, and {} there", value.map_or("nothing known", kind_of)));
    match (ty, value) {
        (FieldType::Timestamp, None) => {
            Err("how it writes time is not known: `as: iso8601`, `unix` or `unix_ms`".into())
        }
        (_, None) => Ok(None),
        (FieldType::Text, Some(Json::String(_))) => Ok(None),
        (FieldType::Enum(words), Some(Json::String(word))) if words.contains(word) => Ok(None),
        (FieldType::Enum(_), Some(Json::String(_))) => {
            Err("its words differ: `as: { values: { here: there } }`".into())
        }
        (FieldType::Int, Some(Json::Number(n))) if n.is_i64() => Ok(None),
        (FieldType::Int, Some(Json::String(text))) if text.parse::<i64>().is_ok() => Ok(Some("string")),
        (FieldType::Decimal { .. }, Some(Json::String(text))) if text.parse::<f64>().is_ok() => Ok(None),
        (FieldType::Decimal { .. }, Some(Json::Number(n))) if n.is_f64() => Ok(Some("number")),
        (FieldType::Decimal { .. }, Some(Json::Number(_))) => {
            Err("a whole number there: `as: { minor: 2 }` if it counts cents, else `as: number`".into())
        }
        (FieldType::Bool, Some(Json::Bool(_))) => Ok(None),
        (FieldType::Timestamp, Some(Json::String(text))) if is_moment(text) => Ok(Some("iso8601")),
        (FieldType::Timestamp, Some(Json::Number(n))) => match n.as_i64().map(i64::unsigned_abs) {
            Some(100_000_000..=9_999_999_999) => Ok(Some("unix")),
            Some(100_000_000_000..=9_999_999_999_999) => Ok(Some("unix_ms")),
            _ => other(),
        },
        (FieldType::Date, Some(Json::String(text))) if text.parse::<chrono::NaiveDate>().is_ok() => Ok(None),
        (FieldType::Uuid, Some(Json::String(text))) if text.parse::<uuid::Uuid>().is_ok() => Ok(None),
        (FieldType::Json, Some(_)) => Ok(None),
        (FieldType::List(item), Some(Json::Array(items))) => {
            if items.iter().all(|one| fit(item, Some(one)) == Ok(None)) { Ok(None) } else { other() }
        }
        _ => other(),
    }
}

/// The kind of a JSON value, for people.
pub(crate) fn kind_of(json: &Json) -> &'static str {
    match json {
        Json::Null => "null",
        Json::Bool(_) => "true or false",
        Json::Number(_) => "a number",
        Json::String(_) => "text",
        Json::Array(_) => "a list",
        Json::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bothways_model::{Ident, Segment, SingularPath};
    use serde_json::json;

    fn field(name: &str, ty: FieldType) -> CatalogField {
        let column = Ident::new(name).expect("a name");
        CatalogField { name: name.into(), column, ty, optional: true, reference: None, doc: None }
    }

    fn place(path: &[&str], value: Json) -> Place {
        let path = SingularPath(path.iter().map(|name| Segment::Name((*name).into())).collect());
        Place { path, value: Some(value) }
    }

    fn sure(proposal: &Proposal) -> Option<(usize, Option<&'static str>)> {
        match proposal {
            Proposal::Sure { place, codec, .. } => Some((*place, *codec)),
            _ => None,
        }
    }

    #[test]
    fn names_pair_without_case_punctuation_or_dialect() {
        let fields = [
            field("e_mail", FieldType::Text),
            field("firstname", FieldType::Text),
            field("zip", FieldType::Text),
            field("address_city", FieldType::Text),
        ];
        let places = [
            place(&["properties", "first_name"], json!("Ada")),
            place(&["properties", "E-Mail"], json!("ada@example.com")),
            place(&["address", "postal_code"], json!("1010")),
            place(&["address", "city"], json!("Wien")),
        ];
        let proposals = pair(&fields.each_ref(), &places);
        let pairs: Vec<_> = proposals.iter().map(|p| sure(p).map(|(place, _)| place)).collect();
        assert_eq!(pairs, [Some(1), Some(0), Some(2), Some(3)]);
    }

    #[test]
    fn one_place_is_given_once_and_to_the_likeliest() {
        let fields = [field("telephone", FieldType::Text), field("phone", FieldType::Text)];
        let places = [place(&["contact", "phone"], json!("1")), place(&["phone"], json!("2"))];
        let proposals = pair(&fields.each_ref(), &places);
        assert_eq!(proposals.iter().map(sure).collect::<Vec<_>>(), [Some((0, None)), Some((1, None))]);
    }

    #[test]
    fn types_choose_the_codec_or_leave_it_to_a_person() {
        let decimal = FieldType::Decimal { scale: 2 };
        let cases = [
            (FieldType::Timestamp, json!("2026-11-22T10:00:00Z"), Ok(Some("iso8601"))),
            (FieldType::Timestamp, json!(1_795_000_000), Ok(Some("unix"))),
            (FieldType::Timestamp, json!(1_795_000_000_000_i64), Ok(Some("unix_ms"))),
            (FieldType::Timestamp, json!("yesterday"), Err(())),
            (FieldType::Timestamp, json!("2026-11-22 at 10:00"), Err(())),
            (FieldType::Timestamp, json!(i64::MIN), Err(())),
            (FieldType::Timestamp, Json::Null, Err(())),
            (FieldType::Int, json!("42"), Ok(Some("string"))),
            (decimal.clone(), json!(12.5), Ok(Some("number"))),
            (decimal.clone(), json!("12.50"), Ok(None)),
            (decimal, json!(1250), Err(())),
            (FieldType::Text, json!(7), Err(())),
            (FieldType::Text, Json::Null, Ok(None)),
            (FieldType::List(Box::new(FieldType::Text)), json!(["a"]), Ok(None)),
            (FieldType::Enum(vec!["open".into()]), json!("open"), Ok(None)),
            (FieldType::Enum(vec!["open".into()]), json!("closed"), Err(())),
        ];
        for (ty, value, expected) in cases {
            assert_eq!(fit(&ty, Some(&value)).map_err(drop), expected, "{ty} and {value}");
        }
    }

    #[test]
    fn a_part_of_a_name_is_a_question() {
        let fields = [field("phone", FieldType::Text)];
        let proposals = pair(&fields.each_ref(), &[place(&["phone_extension"], json!("12"))]);
        assert!(matches!(proposals.as_slice(), [Proposal::Unsure { place: 0, .. }]), "{proposals:?}");
    }
}
