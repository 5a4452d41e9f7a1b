//! The fields of mapping documents.

use super::mapping::{Known, constant, way};
use super::{Cx, reference, sub};
use crate::check;
use crate::doc::{
    CodecDoc, MappingDoc, MappingFieldDoc, MappingFieldLong, MinorDoc, Ordered, RowLookupDoc, Scalar,
};
use crate::finding::Code;
use crate::lens::{Codec, Currency, Lens, Minor, Normalize, Part, Word};
use crate::mapping::{Direction, Field, Reference, RowLookup, Winner};
use crate::path::Query;
use bothways_model::{Catalog, CatalogField, FieldType};

/// A field's document, whichever form it has.
pub(super) struct Written<'a> {
    pub(super) label: &'a str,
    pointer: String,
    pub(super) long: Option<&'a MappingFieldLong>,
    remote: &'a str,
    /// Which of the local fields is meant, where there are two.
    part: usize,
}

fn is_words(codec: &CodecDoc) -> bool {
    matches!(codec, CodecDoc::Words(_))
}

impl<'a> Written<'a> {
    fn new(label: &'a str, doc: &'a MappingFieldDoc) -> Self {
        let pointer = sub("/fields", label);
        match doc {
            MappingFieldDoc::Short(path) => {
                Self { label, pointer, long: None, remote: path.as_str(), part: 0 }
            }
            MappingFieldDoc::Long(long) => {
                Self { label, pointer, long: Some(long), remote: long.remote.as_str(), part: 0 }
            }
        }
    }

    pub(super) fn at(&self, key: &str) -> String {
        sub(&self.pointer, key)
    }

    /// Where the codec with this number in its chain is.
    pub(super) fn codec_at(&self, index: usize) -> String {
        match self.long.and_then(|long| long.codec.as_ref()) {
            Some(chain) if chain.listed => sub(&self.at("as"), &index.to_string()),
            _ => self.at("as"),
        }
    }

    fn remote_at(&self) -> String {
        if self.long.is_some() { self.at("remote") } else { self.pointer.clone() }
    }

    fn local(&self) -> &'a str {
        let named = self.long.and_then(|l| l.local.as_ref()).and_then(|local| local.names.get(self.part));
        named.map_or(self.label, |n| n.as_str())
    }

    fn local_at(&self) -> String {
        match self.long.and_then(|l| l.local.as_ref()) {
            Some(local) if local.listed => sub(&self.at("local"), &self.part.to_string()),
            _ => self.at("local"),
        }
    }

    /// The two local fields that are one text outside.
    fn words(&self) -> Option<(&'a str, &'a str)> {
        let long = self.long?;
        let by_words = long.codec.as_ref().and_then(|chain| chain.chain.first()).is_some_and(is_words);
        match long.local.as_ref()?.names.as_slice() {
            [first, last] if by_words => Some((first.as_str(), last.as_str())),
            _ => None,
        }
    }

    /// What of another catalog's row stands for it outside.
    pub(super) fn lookup(&self) -> Option<&'a RowLookupDoc> {
        match self.long?.codec.as_ref()?.chain.first()? {
            CodecDoc::Lookup(lookup) => Some(lookup),
            _ => None,
        }
    }

    fn direction(&self) -> Direction {
        self.long.and_then(|l| l.direction).map_or(Direction::Both, Into::into)
    }

    pub(super) fn normalize(&self) -> Normalize {
        Normalize(self.long.iter().flat_map(|l| l.normalize.iter().flatten()).map(|w| (*w).into()).collect())
    }
}

/// The label of each field that the document makes: two local fields that are one text outside go by their own names.
pub(super) fn labels(doc: &MappingDoc) -> Vec<&str> {
    let mut labels = Vec::new();
    for (label, field) in doc.fields.iter() {
        match two_names(label, field) {
            Some((first, last)) => labels.extend([first, last]),
            None => labels.push(label),
        }
    }
    labels
}

/// The two local fields that are one text outside.
pub(super) fn two_names<'a>(label: &'a str, doc: &'a MappingFieldDoc) -> Option<(&'a str, &'a str)> {
    Written::new(label, doc).words()
}

/// All fields that can be used.
pub(super) fn fields(
    cx: &mut Cx<'_>,
    doc: &MappingDoc,
    known: &Known,
    catalog: &Catalog,
    winner: Winner,
) -> Vec<Field> {
    if doc.fields.is_empty() {
        cx.error(Code::Y103, "/fields", "a mapping has at least one field");
    }
    let mut fields = Vec::new();
    let mut ties = Vec::new();
    for (label, field_doc) in doc.fields.iter() {
        let written = Written::new(label, field_doc);
        check_words(cx, &written, doc);
        if written.words().is_some() {
            parts(cx, written, (doc, known), catalog, winner, &mut fields);
        } else if let Some(field) = field(cx, &written, (doc, known), catalog, winner, fields.len()) {
            if let Some(tied) = field.lens.tied_to() {
                ties.push((label.to_owned(), tied.to_owned()));
            }
            fields.push(field);
        }
    }
    tie(cx, &mut fields, &ties);
    fields
}

/// Two local fields that are one text outside: each is a field of its own, by its own name, and they change together.
fn parts(
    cx: &mut Cx<'_>,
    written: Written<'_>,
    documents: (&MappingDoc, &Known),
    catalog: &Catalog,
    winner: Winner,
    fields: &mut Vec<Field>,
) {
    let unit = fields.len();
    let first = field(cx, &written, documents, catalog, winner, unit);
    let before = cx.count();
    let last = field(cx, &Written { part: 1, ..written }, documents, catalog, winner, unit);
    // What is wrong with the text was said for the first one already.
    cx.forget_repeated(before);
    for mut field in [first, last].into_iter().flatten() {
        field.label = field.local_name().to_owned();
        fields.push(field);
    }
}

/// Two local fields and `words` need each other.
fn check_words(cx: &mut Cx<'_>, written: &Written<'_>, doc: &MappingDoc) {
    let Some(long) = written.long else { return };
    let local = long.local.as_ref().filter(|local| local.listed);
    let chain = long.codec.as_ref().map(|chain| chain.chain.as_slice()).unwrap_or_default();
    let words = chain.iter().position(is_words);
    match (local, words) {
        (Some(local), Some(0)) if local.names.len() == 2 => {
            for (index, name) in local.names.iter().enumerate() {
                let twin = name.as_str() != written.label && doc.fields.get(name.as_str()).is_some();
                if twin || (index == 1 && local.names.first() == Some(name)) {
                    let message =
                        format!("`{}` goes by its own name, which another field has", name.as_str());
                    cx.error(Code::M402, &sub(&written.at("local"), &index.to_string()), message)
                        .help("give the other field another label, or leave it away");
                }
            }
            if long.default.is_some() {
                cx.error(
                    Code::M205,
                    &written.at("default"),
                    "a default is one value, and these are two fields",
                );
            }
        }
        (None, None) => {}
        (_, Some(at)) if at > 0 => {
            cx.error(Code::M203, &written.at("as"), "`words` comes first: it joins the two local fields");
        }
        (_, Some(_)) => {
            cx.error(Code::M203, &written.at("as"), "`words` joins two local fields")
                .help("name them: `local: [first_name, last_name]`");
        }
        (Some(_), None) => {
            cx.error(
                Code::M203,
                &written.at("local"),
                "two local fields need to be told how they are one text",
            )
            .help("add `as: { words: last }`");
        }
    }
}

/// What can be said of fields whose catalog or resource is not there.
pub(super) fn check_texts(cx: &mut Cx<'_>, doc: &MappingDoc) {
    for (label, field_doc) in doc.fields.iter() {
        let written = Written::new(label, field_doc);
        cx.query(&written.remote_at(), written.remote);
    }
}

fn field(
    cx: &mut Cx<'_>,
    written: &Written<'_>,
    (doc, known): (&MappingDoc, &Known),
    catalog: &Catalog,
    winner: Winner,
    unit: usize,
) -> Option<Field> {
    cx.key_name(&written.pointer, written.label);
    let direction = written.direction();
    let local = local(cx, written, catalog);
    let as_list = local.is_some_and(|local| matches!(local.ty, FieldType::List(_)));
    let before = cx.count();
    let read = cx.field_path(&written.remote_at(), written.remote, as_list);
    let unreadable = cx.count() > before;
    let write = if unreadable {
        None
    } else {
        check::paths::writable(cx, &written.pointer, &written.remote_at(), &read, direction, written.long)
    };
    let travels = local.and_then(|local| match (written.lookup(), &local.reference) {
        (Some(lookup), _) => {
            let by = reference::lookup(cx, written, lookup, local, known)?;
            let lookup = RowLookup { catalog: lookup.catalog.0.clone(), by: by.name.clone() };
            Some((lens(cx, written, &by.ty, doc, catalog, true)?, Some(Reference::Lookup(lookup))))
        }
        (None, Some(target)) => {
            Some((reference::link(cx, written, target)?, Some(Reference::Link(target.clone()))))
        }
        (None, None) => Some((lens(cx, written, &local.ty, doc, catalog, true)?, None)),
    });
    let default = default(cx, written, local);
    let (local, (lens, reference)) = (local?, travels?);
    if reference.is_none() {
        check_normalize(cx, written, &local.ty);
    }
    let long = written.long;
    let own_winner = long.and_then(|l| l.winner);
    Some(Field {
        label: written.label.to_owned(),
        local: vec![local.name.clone()],
        read,
        write,
        direction,
        lens,
        normalize: written.normalize(),
        default,
        required: long.and_then(|l| l.required).unwrap_or(!local.optional),
        immutable: long.and_then(|l| l.immutable).unwrap_or(false),
        winner: own_winner.map_or(winner, Into::into),
        reference,
        unit,
        source: cx.place.key_source(&written.pointer),
        winner_source: own_winner.map(|_| cx.source(&written.at("winner"))),
    })
}

fn local<'c>(cx: &mut Cx<'_>, written: &Written<'_>, catalog: &'c Catalog) -> Option<&'c CatalogField> {
    let name = written.local();
    let found = catalog.field(name);
    if found.is_none() {
        let message = format!("the catalog `{}` has no field `{name}`", catalog.name);
        let names: Vec<&str> = catalog.fields.iter().map(|f| f.name.as_str()).collect();
        if written.long.is_some_and(|l| l.local.is_some()) {
            cx.error(Code::M101, &written.local_at(), message).did_you_mean(name, names);
        } else {
            cx.key_error(Code::M101, &written.pointer, message).did_you_mean(name, names);
        }
    }
    found
}

fn default(
    cx: &mut Cx<'_>,
    written: &Written<'_>,
    local: Option<&CatalogField>,
) -> Option<bothways_model::Value> {
    let json = written.long?.default.as_ref()?;
    let pointer = written.at("default");
    if written.direction() != Direction::In {
        cx.error(
            Code::M205,
            &pointer,
            format!("`{}` {}, and a default would be sent back", written.label, way(written.direction())),
        )
        .help("add `direction: in`, or remove the default");
    }
    constant(cx, &pointer, &local?.ty, &json.0)
}

fn check_normalize(cx: &mut Cx<'_>, written: &Written<'_>, ty: &FieldType) {
    let (of_lists, of_texts): (Vec<_>, Vec<_>) =
        written.normalize().0.into_iter().partition(|word| word.is_of_lists());
    if let (false, Some(word)) = (matches!(ty, FieldType::List(_)), of_lists.first()) {
        let message =
            format!("`{}` is for lists, and the type of `{}` is `{ty}`", word.as_str(), written.label);
        cx.error(Code::M203, &written.at("normalize"), message)
            .help("make the catalog field a list, for example `{ list: text }`");
    }
    let texts = match ty {
        FieldType::Text => true,
        FieldType::List(item) => **item == FieldType::Text,
        _ => false,
    };
    if !texts && !of_texts.is_empty() {
        cx.error(
            Code::M203,
            &written.at("normalize"),
            format!("only text can be made alike, and the type of `{}` is `{ty}`", written.label),
        )
        .help("remove `normalize`");
    }
}

/// The lens of a field; `currencies` is false for a field that itself gives the currency of another.
fn lens(
    cx: &mut Cx<'_>,
    written: &Written<'_>,
    ty: &FieldType,
    doc: &MappingDoc,
    catalog: &Catalog,
    currencies: bool,
) -> Option<Lens> {
    // What is looked up in another catalog, the engine does: the lens begins after it.
    let first = usize::from(written.lookup().is_some());
    let chain = written.long.and_then(|l| l.codec.as_ref()).and_then(|chain| chain.chain.get(first..));
    let place = |index: usize| written.codec_at(first + index);
    let codecs = match chain {
        None => None,
        Some([]) if first > 0 => None,
        Some(chain) => {
            let mut codecs = Vec::new();
            for (index, codec) in chain.iter().enumerate() {
                if let (CodecDoc::Words(_), Some((first, last))) = (codec, written.words()) {
                    let (first, last) = (first.to_owned(), last.to_owned());
                    let normalize = written.normalize();
                    codecs.push(Codec::Part(Part { first, last, is_last: written.part == 1, normalize }));
                    continue;
                }
                codecs.push(self::codec(cx, &place(index), codec, doc, catalog, currencies)?);
            }
            Some(codecs)
        }
    };
    if let Some(Codec::Values(words)) = codecs.as_ref().and_then(|c| c.first()) {
        let table = match chain.and_then(|chain| chain.first()) {
            Some(CodecDoc::Table(name)) => sub("/tables", name.as_str()),
            _ => sub(&place(0), "values"),
        };
        check::paths::values(cx, &table, words, ty, written.direction());
    }
    let named = codecs.is_some();
    match Lens::new(ty, codecs) {
        Ok(lens) => Some(lens),
        Err(error) => {
            let pointer = match error.index {
                Some(index) if named => place(index),
                _ if named => written.at("as"),
                _ => written.pointer.clone(),
            };
            cx.error(Code::M203, &pointer, error.message).help(error.help);
            None
        }
    }
}

fn codec(
    cx: &mut Cx<'_>,
    pointer: &str,
    doc: &CodecDoc,
    mapping: &MappingDoc,
    catalog: &Catalog,
    currencies: bool,
) -> Option<Codec> {
    let mut text = |key: &str, text: &crate::doc::Text| {
        if text.0.is_empty() {
            cx.error(Code::Y108, &sub(pointer, key), "an empty text does nothing here");
        }
        text.0.clone()
    };
    Some(match doc {
        CodecDoc::String => Codec::String,
        CodecDoc::Number => Codec::Number,
        CodecDoc::Unix => Codec::Unix,
        CodecDoc::UnixMs => Codec::UnixMs,
        CodecDoc::Iso8601 => Codec::Iso8601,
        CodecDoc::Utc => Codec::Utc,
        CodecDoc::Date => Codec::Date,
        CodecDoc::Json => Codec::Json,
        CodecDoc::Base64 => Codec::Base64,
        CodecDoc::Not => Codec::Not,
        CodecDoc::Prefix(prefix) => Codec::Prefix(text("prefix", prefix)),
        CodecDoc::Suffix(suffix) => Codec::Suffix(text("suffix", suffix)),
        CodecDoc::Split(separator) => Codec::Split(text("split", separator)),
        // Without two local fields, which was reported.
        CodecDoc::Words(_) => return None,
        CodecDoc::Lookup(_) => {
            let message = "`lookup` comes first: it takes the key that the local field holds";
            cx.error(Code::M203, pointer, message);
            return None;
        }
        CodecDoc::Values(words) => Codec::Values(self::words(words)),
        CodecDoc::Table(name) => {
            let Some(table) = mapping.tables.get(name.as_str()) else {
                let message = format!("this mapping has no table `{}`", name.as_str());
                cx.error(Code::M101, &sub(pointer, "table"), message)
                    .did_you_mean(name.as_str(), mapping.tables.keys());
                return None;
            };
            Codec::Values(self::words(table))
        }
        CodecDoc::Minor(MinorDoc::Scale(scale)) if *scale <= 28 => Codec::Minor(Minor::Scale(*scale)),
        CodecDoc::Minor(MinorDoc::Scale(_)) => {
            cx.error(Code::Y108, &sub(pointer, "minor"), "at most 28 digits after the point");
            return None;
        }
        CodecDoc::Minor(MinorDoc::Field(label)) => Codec::Minor(Minor::Currency(Box::new(currency(
            cx,
            &sub(pointer, "minor"),
            label,
            mapping,
            catalog,
            currencies,
        )?))),
    })
}

fn words(table: &Ordered<Scalar>) -> Vec<Word> {
    let word = |(local, remote): (&str, &Scalar)| Word { local: local.to_owned(), remote: remote.0.clone() };
    table.iter().map(word).collect()
}

fn currency(
    cx: &mut Cx<'_>,
    pointer: &str,
    label: &str,
    doc: &MappingDoc,
    catalog: &Catalog,
    currencies: bool,
) -> Option<Currency> {
    let Some(field_doc) = doc.fields.get(label).filter(|_| currencies) else {
        cx.error(
            Code::M101,
            pointer,
            format!("there is no field `{label}` in this mapping to take the currency from"),
        )
        .did_you_mean(label, doc.fields.keys());
        return None;
    };
    let written = Written::new(label, field_doc);
    let local = catalog.field(written.local())?;
    if written.lookup().is_some() {
        let message =
            format!("`{label}` is looked up in another catalog, and its row holds no currency itself");
        cx.error(Code::M203, pointer, message)
            .help("name the field that holds an ISO 4217 code such as `eur`");
        return None;
    }
    if !matches!(local.ty, FieldType::Text | FieldType::Enum(_)) {
        cx.error(
            Code::M203,
            pointer,
            format!("the type of `{label}` is `{}`, and a currency is text", local.ty),
        )
        .help("name the field that holds an ISO 4217 code such as `eur`");
        return None;
    }
    // Whatever is wrong with that field is reported where it is written.
    let mut elsewhere = Vec::new();
    let mut quiet = Cx::new(cx.place.clone(), &mut elsewhere);
    let lens = lens(&mut quiet, &written, &local.ty, doc, catalog, false)?;
    let read = Query::parse(written.remote).ok()?;
    Some(Currency {
        label: label.to_owned(),
        local: local.name.clone(),
        read,
        lens,
        normalize: written.normalize(),
    })
}

/// Makes tied fields one merge unit, with one winner.
fn tie(cx: &mut Cx<'_>, fields: &mut [Field], ties: &[(String, String)]) {
    for (label, tied) in ties {
        let unit = |label: &str, fields: &[Field]| fields.iter().find(|f| f.label == label).map(|f| f.unit);
        let (Some(from), Some(to)) = (unit(label, fields), unit(tied, fields)) else { continue };
        for field in fields.iter_mut().filter(|f| f.unit == from) {
            field.unit = to;
        }
    }
    let units: std::collections::BTreeSet<usize> = fields.iter().map(|f| f.unit).collect();
    for unit in units {
        let mut said = fields.iter().filter(|f| f.unit == unit && f.winner_source.is_some());
        let Some(first) = said.next() else { continue };
        let (winner, source, label) = (first.winner, first.winner_source.clone(), first.label.clone());
        if let Some(other) = said.find(|f| f.winner != winner) {
            let message =
                format!("`{label}` and `{}` change together, and name different winners", other.label);
            let pointer = sub(&sub("/fields", &other.label), "winner");
            cx.error(Code::M402, &pointer, message).help("say it once, for one of them");
        }
        for field in fields.iter_mut().filter(|f| f.unit == unit) {
            field.winner = winner;
            field.winner_source.clone_from(&source);
        }
    }
}
