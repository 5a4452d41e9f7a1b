//! The three documents as their authors write them.
//!
//! These types are the format: serde reads them, and the JSON Schemas (descriptions, enum words, what an editor completes)
//! are generated from them. They hold texts as written; the phases after reading parse those, so that every bad text of
//! a document is reported at once. Choices are externally tagged enums, short forms are visitors: tagged, untagged and
//! flattened types would lose error positions.

mod catalog;
mod connector;
mod events;
mod free;
mod lists;
mod mapping;
mod ordered;
mod record;
mod resource;
mod short;
mod since;
mod text;

pub use catalog::{
    CatalogDoc, FieldDoc, FieldLong, KeyDoc, KeyLong, KeyMakerDoc, ShortType, TrackDoc, TypeWord,
};
pub use connector::{
    AccountDoc, AuthDoc, BasicDoc, BodyDoc, ClassWord, ClientAuthDoc, ConnectorDoc, ErrorsDoc, HttpDoc,
    IdempotencyDoc, LoginDoc, NamedValueDoc, Oauth2Doc, RateDoc, RetryDoc, UsedDoc, VarDoc,
};
pub use events::{
    ChallengeDoc, EncodingDoc, EventTimeDoc, EventsDoc, FactDoc, FactLong, FeedDoc, HashDoc, HmacDoc,
    KindDoc, OrderDoc, TimeAtDoc, TimeWord, TokenDoc, VerifyDoc, WebhookDoc,
};
pub use free::Free;
pub use lists::{CursorPageDoc, ListsDoc, NextUrlDoc, NextUrlLong, OffsetDoc, PageDoc, PagesDoc};
pub use mapping::{
    AgainstUpdateDoc, AsDoc, CheckDoc, CodecDoc, ConfirmDoc, ConflictsDoc, CreatePolicyDoc, CreatesDoc,
    DeletesDoc, DirectionDoc, FromLocalDoc, FromRemoteDoc, IdentityDoc, LocalDoc, MappingDoc,
    MappingFieldDoc, MappingFieldLong, MinorDoc, NormalizeWord, OnCreateDoc, OnlyDoc, RemoteDoc, RemoteLong,
    RowLookupDoc, SafetyDoc, SyncDoc, WinnerDoc, WordsDoc,
};
pub use ordered::Ordered;
pub use record::{IdDoc, LookupDoc, SendsDoc};
pub use resource::{
    CreateDoc, CreateLong, DeleteDoc, DeleteLong, EscapeDoc, EventEffectDoc, FindDoc, ListDoc, ListLong,
    ReadDoc, ReadLong, ResourceDoc, ReturnsDoc, SinceDoc, UpdateDoc, UpdateLong,
};
pub use since::{CursorDoc, SyncTokenDoc};
pub use text::{
    AmountText, CallText, CountText, DurationText, FilterText, IntervalText, Name, PathText, RateText,
    Scalar, Text,
};
