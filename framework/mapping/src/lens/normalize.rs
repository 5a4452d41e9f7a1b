//! What is made alike on both sides before comparing and storing. It loses information, on both sides equally, and that is
//! what keeps `A@x.com ` and `a@x.com` from chasing each other.

use bothways_model::Value;
use std::collections::BTreeSet;
use unicode_normalization::UnicodeNormalization;

/// One thing made alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Normalizer {
    /// No white space at either end.
    Trim,
    /// Lower case.
    Lower,
    /// Upper case.
    Upper,
    /// Unicode normal form C.
    Nfc,
    /// Each run of white space is one space.
    CollapseSpaces,
    /// Only the digits 0 to 9.
    Digits,
    /// A list in order.
    Sort,
    /// Each element of a list once.
    Unique,
}

impl Normalizer {
    /// The word in documents.
    pub fn as_str(self) -> &'static str {
        match self {
            Normalizer::Trim => "trim",
            Normalizer::Lower => "lower",
            Normalizer::Upper => "upper",
            Normalizer::Nfc => "nfc",
            Normalizer::CollapseSpaces => "collapse_spaces",
            Normalizer::Digits => "digits",
            Normalizer::Sort => "sort",
            Normalizer::Unique => "unique",
        }
    }

    /// Whether it is about a list and not about the texts in it.
    pub fn is_of_lists(self) -> bool {
        matches!(self, Normalizer::Sort | Normalizer::Unique)
    }

    fn apply(self, text: &str) -> String {
        match self {
            Normalizer::Trim => text.trim().to_owned(),
            Normalizer::Lower => text.to_lowercase(),
            Normalizer::Upper => text.to_uppercase(),
            Normalizer::Nfc => text.nfc().collect(),
            Normalizer::Digits => text.chars().filter(char::is_ascii_digit).collect(),
            Normalizer::CollapseSpaces => {
                let mut out = String::with_capacity(text.len());
                let mut in_space = false;
                for c in text.chars() {
                    if !c.is_whitespace() {
                        out.push(c);
                    } else if !in_space {
                        out.push(' ');
                    }
                    in_space = c.is_whitespace();
                }
                out
            }
            Normalizer::Sort | Normalizer::Unique => text.to_owned(),
        }
    }
}

/// Several, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Normalize(pub Vec<Normalizer>);

impl Normalize {
    /// The value made alike; texts, and texts in lists, are touched, nothing else is.
    ///
    /// The list is applied until nothing changes, so that applying it again never does, whatever the order: lower case of a
    /// composed letter may be two characters, which `nfc` joins again.
    pub fn apply(&self, value: &Value) -> Value {
        match value {
            Value::Text(text) if !self.0.is_empty() => {
                let mut text = text.clone();
                for _ in 0..8 {
                    let next = self.0.iter().fold(text.clone(), |t, n| n.apply(&t));
                    if next == text {
                        break;
                    }
                    text = next;
                }
                Value::Text(text)
            }
            Value::List(items) if !self.0.is_empty() => {
                self.list(items.iter().map(|i| self.apply(i)).collect())
            }
            other => other.clone(),
        }
    }
}

impl Normalize {
    /// The elements as a set, as far as that is wanted.
    fn list(&self, mut items: Vec<Value>) -> Value {
        let plain = |item: &Value| item.to_plain_json().to_string();
        if self.0.contains(&Normalizer::Unique) {
            let mut known = BTreeSet::new();
            items.retain(|item| known.insert(plain(item)));
        }
        if self.0.contains(&Normalizer::Sort) {
            items.sort_by(|a, b| match (a, b) {
                (Value::Int(a), Value::Int(b)) => a.cmp(b),
                (Value::Decimal(a), Value::Decimal(b)) => a.cmp(b),
                _ => plain(a).cmp(&plain(b)),
            });
        }
        Value::List(items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_chain() -> impl Strategy<Value = Normalize> {
        use Normalizer::*;
        proptest::collection::vec(
            proptest::sample::select(vec![Trim, Lower, Upper, Nfc, CollapseSpaces, Digits]),
            0..5,
        )
        .prop_filter("one case at most", |c| !(c.contains(&Lower) && c.contains(&Upper)))
        .prop_map(Normalize)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2048))]
        #[test]
        fn twice_is_once(chain in any_chain(), text in "\\PC{0,12}|[ÀàÅÅİıŉßΣςé\u{301}\u{307} \t]{0,8}") {
            let once = chain.apply(&Value::Text(text));
            prop_assert_eq!(chain.apply(&once), once);
        }
    }

    proptest! {
        #[test]
        fn a_set_is_the_same_in_whatever_order_it_comes(chain in any_chain(), mut texts in proptest::collection::vec("[aAb é]{0,2}", 0..6)) {
            let set = Normalize(chain.0.into_iter().chain([Normalizer::Unique, Normalizer::Sort]).collect());
            let list = |texts: &[String]| Value::List(texts.iter().cloned().map(Value::Text).collect());
            let once = set.apply(&list(&texts));
            prop_assert_eq!(&set.apply(&once), &once);
            texts.reverse();
            texts.extend(texts.clone());
            prop_assert_eq!(set.apply(&list(&texts)), once);
        }
    }

    #[test]
    fn lists_of_numbers_are_in_their_order() {
        let numbers = Value::List([10, 9, 10, -1].map(Value::Int).to_vec());
        let sorted = |words: Vec<Normalizer>| Normalize(words).apply(&numbers);
        assert_eq!(sorted(vec![Normalizer::Sort]), Value::List([-1, 9, 10, 10].map(Value::Int).to_vec()));
        assert_eq!(sorted(vec![Normalizer::Unique]), Value::List([10, 9, -1].map(Value::Int).to_vec()));
        let text = Value::Text("b a".into());
        assert_eq!(Normalize(vec![Normalizer::Sort, Normalizer::Unique]).apply(&text), text);
    }

    #[test]
    fn each_does_what_it_says() {
        let n = |n: Normalizer, t: &str| Normalize(vec![n]).apply(&Value::Text(t.into())).to_text();
        assert_eq!(n(Normalizer::Trim, " a b\u{a0}\n"), "a b");
        assert_eq!(n(Normalizer::Lower, "ÀB"), "àb");
        assert_eq!(n(Normalizer::Upper, "straße"), "STRASSE");
        assert_eq!(n(Normalizer::Nfc, "e\u{301}"), "é");
        assert_eq!(n(Normalizer::CollapseSpaces, "a  b\t c"), "a b c");
        assert_eq!(n(Normalizer::Digits, "+49 (0) 30-12"), "4903012");
        assert_eq!(Normalize(vec![Normalizer::Lower]).apply(&Value::Int(3)), Value::Int(3));
        let list = Value::List(vec![Value::Text("A".into())]);
        assert_eq!(
            Normalize(vec![Normalizer::Lower]).apply(&list),
            Value::List(vec![Value::Text("a".into())])
        );
    }
}
