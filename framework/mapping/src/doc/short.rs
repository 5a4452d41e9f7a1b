//! Short forms: a key that takes either one line of text or a map with more to say.

/// Declares an enum of a text form and a map form, reads either, and describes both in the schema.
macro_rules! short_form {
    ($(#[$doc:meta])* $name:ident, $expecting:literal, $short:ty, $long:ty) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub enum $name {
            /// One line.
            Short($short),
            /// With more to say.
            Long(Box<$long>),
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Forms;
                impl<'de> serde::de::Visitor<'de> for Forms {
                    type Value = $name;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str($expecting)
                    }
                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$name, E> {
                        let short = serde::de::IntoDeserializer::into_deserializer(text);
                        serde::Deserialize::deserialize(short).map($name::Short)
                    }
                    fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<$name, A::Error> {
                        let long = serde::de::value::MapAccessDeserializer::new(map);
                        serde::Deserialize::deserialize(long).map(|l| $name::Long(Box::new(l)))
                    }
                }
                deserializer.deserialize_any(Forms)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let short = generator.subschema_for::<$short>();
                let long = generator.subschema_for::<$long>();
                schemars::json_schema!({ "anyOf": [short, long] })
            }
        }
    };
}

pub(super) use short_form;
