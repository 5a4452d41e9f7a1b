//! What happens when the two sides differ.

use std::time::Duration;

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$vdoc])* $variant,)*
        }

        impl $name {
            /// The word in documents.
            pub fn as_str(self) -> &'static str {
                match self {
                    $($name::$variant => $word,)*
                }
            }
        }
    )*};
}

words! {
    /// What happens with a record that has no counterpart.
    CreatePolicy {
        /// Its counterpart is created.
        Create = "create",
        /// Nothing.
        Ignore = "ignore",
        /// A person decides.
        Manual = "manual",
    }
    /// Who wins a conflict.
    Winner {
        /// A person decides.
        Manual = "manual",
        /// The table.
        Local = "local",
        /// The remote.
        Remote = "remote",
        /// The later change.
        Newest = "newest",
    }
    /// Whether the remote record is read before it is written.
    Check {
        /// It is.
        Read = "read",
        /// It is not: what was last known is trusted.
        Blind = "blind",
    }
    /// The remote record was deleted.
    FromRemoteDelete {
        /// A person decides.
        Manual = "manual",
        /// Nothing: the row stays. A person decides once it is edited.
        Ignore = "ignore",
        /// The row stays, without its link.
        Unlink = "unlink",
        /// The catalog's `deleted_at` column is set.
        Archive = "archive",
        /// The row is deleted.
        Delete = "delete",
        /// The remote record is created again.
        Recreate = "recreate",
    }
    /// The row was deleted.
    FromLocalDelete {
        /// A person decides.
        Manual = "manual",
        /// Nothing: the remote record stays, and a row that is archived stays linked to it.
        Ignore = "ignore",
        /// The remote record stays, without its link, until a row that was archived is live again.
        Unlink = "unlink",
        /// The remote record is deleted.
        Delete = "delete",
    }
    /// One side deleted what the other changed.
    AgainstUpdate {
        /// Nothing is deleted and nothing recreated.
        UpdateWins = "update_wins",
        /// The delete is carried out under its policy.
        DeleteWins = "delete_wins",
    }
}

/// Records without a counterpart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Creates {
    /// A remote record without a row.
    pub from_remote: CreatePolicy,
    /// A row without a remote record.
    pub from_local: CreatePolicy,
}

impl Default for Creates {
    fn default() -> Self {
        Self { from_remote: CreatePolicy::Create, from_local: CreatePolicy::Create }
    }
}

/// One field changed on both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conflicts {
    /// Who wins, unless the field says otherwise.
    pub winner: Winner,
    /// Whether the remote record is read before it is written.
    pub check: Check,
    /// With `newest`: nearer times are a tie.
    pub skew: Duration,
}

impl Default for Conflicts {
    fn default() -> Self {
        Self { winner: Winner::Manual, check: Check::Read, skew: Duration::from_secs(2) }
    }
}

/// Records deleted on one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deletes {
    /// The remote record was deleted.
    pub from_remote: FromRemoteDelete,
    /// The row was deleted.
    pub from_local: FromLocalDelete,
    /// The author knows that deletes cannot be undone at the service.
    pub confirmed_irreversible: bool,
    /// One side deleted what the other changed.
    pub against_update: AgainstUpdate,
}

impl Default for Deletes {
    fn default() -> Self {
        Self {
            from_remote: FromRemoteDelete::Manual,
            from_local: FromLocalDelete::Manual,
            confirmed_irreversible: false,
            against_update: AgainstUpdate::UpdateWins,
        }
    }
}
