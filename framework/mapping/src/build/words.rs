//! Words of the documents as the types that the rest of Bothways uses.

use crate::connector::{BodyFormat, Digest, Encoding, Escape, EventRule, FeedOrder, Sends, TimeFormat};
use crate::doc;
use crate::lens::Normalizer;
use crate::mapping::{
    AgainstUpdate, Check, CreatePolicy, Direction, FromLocalDelete, FromRemoteDelete, Winner,
};
use bothways_model::{ErrorClass, EventEffect, KeyMaker, Track};

macro_rules! words {
    ($($from:ty => $to:ty { $($a:ident => $b:expr),* $(,)? })*) => {$(
        impl From<$from> for $to {
            fn from(word: $from) -> Self {
                match word {
                    $(<$from>::$a => $b,)*
                }
            }
        }
    )*};
}

words! {
    doc::BodyDoc => BodyFormat { Json => Self::Json, Form => Self::Form }
    doc::TimeWord => TimeFormat { Unix => Self::Unix, UnixMs => Self::UnixMs, Iso8601 => Self::Iso8601, Utc => Self::Utc }
    doc::EscapeDoc => Escape { Soql => Self::Soql, Sql => Self::Sql, Lucene => Self::Lucene }
    doc::SendsDoc => Sends { Changed => Self::Changed, Mapped => Self::Mapped, Whole => Self::Whole }
    doc::HashDoc => Digest { Sha256 => Self::Sha256, Sha512 => Self::Sha512 }
    doc::EncodingDoc => Encoding { Hex => Self::Hex, Base64 => Self::Base64 }
    doc::OrderDoc => FeedOrder { NewestFirst => Self::NewestFirst, OldestFirst => Self::OldestFirst }
    doc::EventEffectDoc => EventRule {
        Upsert => Self::Effect(EventEffect::Upsert),
        Delete => Self::Effect(EventEffect::Delete),
        Ignore => Self::Ignore,
    }
    doc::NormalizeWord => Normalizer {
        Trim => Self::Trim,
        Lower => Self::Lower,
        Upper => Self::Upper,
        Nfc => Self::Nfc,
        CollapseSpaces => Self::CollapseSpaces,
        Digits => Self::Digits,
        Sort => Self::Sort,
        Unique => Self::Unique,
    }
    doc::DirectionDoc => Direction { Both => Self::Both, In => Self::In, Out => Self::Out }
    doc::WinnerDoc => Winner {
        Manual => Self::Manual,
        Local => Self::Local,
        Remote => Self::Remote,
        Newest => Self::Newest,
    }
    doc::CheckDoc => Check { Read => Self::Read, Blind => Self::Blind }
    doc::CreatePolicyDoc => CreatePolicy { Create => Self::Create, Ignore => Self::Ignore, Manual => Self::Manual }
    doc::FromRemoteDoc => FromRemoteDelete {
        Manual => Self::Manual,
        Ignore => Self::Ignore,
        Unlink => Self::Unlink,
        Archive => Self::Archive,
        Delete => Self::Delete,
        Recreate => Self::Recreate,
    }
    doc::FromLocalDoc => FromLocalDelete {
        Manual => Self::Manual,
        Ignore => Self::Ignore,
        Unlink => Self::Unlink,
        Delete => Self::Delete,
    }
    doc::AgainstUpdateDoc => AgainstUpdate { UpdateWins => Self::UpdateWins, DeleteWins => Self::DeleteWins }
}

pub(super) fn class(word: doc::ClassWord) -> ErrorClass {
    match word {
        doc::ClassWord::Retry => ErrorClass::Retry,
        doc::ClassWord::Throttle => ErrorClass::Throttle,
        doc::ClassWord::Auth => ErrorClass::Auth,
        doc::ClassWord::Forbidden => ErrorClass::Forbidden,
        doc::ClassWord::Missing => ErrorClass::Missing,
        doc::ClassWord::Duplicate => ErrorClass::Duplicate,
        doc::ClassWord::Conflict => ErrorClass::Conflict,
        doc::ClassWord::Expired => ErrorClass::Expired,
        doc::ClassWord::Invalid => ErrorClass::Invalid,
    }
}

pub(super) fn key_maker(word: doc::KeyMakerDoc) -> KeyMaker {
    match word {
        doc::KeyMakerDoc::Database => KeyMaker::Database,
        doc::KeyMakerDoc::Engine => KeyMaker::Engine,
    }
}

pub(super) fn track(word: doc::TrackDoc) -> Track {
    match word {
        doc::TrackDoc::Trigger => Track::Trigger,
        doc::TrackDoc::None => Track::None,
    }
}
