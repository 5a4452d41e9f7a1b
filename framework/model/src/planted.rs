//! Known mistakes, planted in the real code to show that the tests would find them.
//!
//! A test suite that passes proves little until it has been seen to fail. So at the seams where the rules say what must not happen,
//! the wrong way is written beside the right one: `if planted::is(Bug::X) { wrong } else { right }`. Only a build with
//! `--cfg bothways_planted` can choose one, by its number, at run time; in every other build [`is`] is the constant `false` and the
//! compiler drops what hangs on it. `tests/simulate --planted all` runs every mistake and says what finds it.

macro_rules! bugs {
    ($($name:ident: $about:literal,)+) => {
        /// A mistake. Its number is its place in [`Bug::ALL`], from 1.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Bug {
            $(#[doc = $about] $name,)+
        }

        impl Bug {
            /// All of them, in order of their numbers.
            pub const ALL: &[Bug] = &[$(Bug::$name,)+];

            /// Its name.
            pub fn name(self) -> &'static str {
                match self { $(Bug::$name => stringify!($name),)+ }
            }

            /// What is wrong, in a sentence.
            pub fn about(self) -> &'static str {
                match self { $(Bug::$name => $about,)+ }
            }
        }
    };
}

bugs! {
    // Decision and bases (rules 10 to 18, 24).
    EchoNotRecognised: "After a confirmed write the remote base stays what it was, so our own value looks like a remote change.",
    WholeAnswerAsBase: "The answer to a write moves the bases of all fields, also of those that were not in it.",
    BaseMovedOnSend: "The bases move when a write is sent, not when it is confirmed.",
    ConfirmationWaitsForRow: "The bases of a confirmed write move only if the row is still as it was read.",
    ConflictMovesBases: "A field in conflict takes both present values as its bases.",
    LoserForgotten: "History does not name the value that lost a conflict.",
    NewestByArrival: "`newest` takes what arrived last, not what changed last.",
    StaleChoiceCarriedOut: "A person's choice is carried out although the values have moved since they were shown.",
    WriteWithoutLooking: "A write goes out on the last known remote state, without a read before it.",
    OneWayFieldSent: "A field that only comes in is sent out.",
    ComparedByBytes: "Values are compared as they are written, not in their normal form.",
    AbsentTakenForNull: "A field that an answer does not show is taken for null.",
    RowNotReadBack: "The local base after a pull is the value written, not what the table made of it.",
    LateEchoForgotten: "An abandoned uncertain write is not remembered, so its late arrival passes for a remote edit.",
    EchoByTimeWindow: "Local changes within two seconds of our own write to a record are taken for its echo.",
    // Remote writes (rules 20 to 25).
    RandomKeyPerAttempt: "Each attempt of one write has an idempotency key of its own.",
    UncertainTakenForFailed: "A write without an answer counts as not carried out.",
    ReplayWithNewBytes: "A repeated write carries the present values under the old key.",
    NoIntentBeforeCall: "A write goes out without a committed intent.",
    IntentClosedBeforeBases: "The intent is closed in a commit of its own, before the bases that it brings.",
    StampNotSet: "Records are created without our stamp.",
    StampNotLookedUp: "An uncertain create is taken for absent without a lookup by its stamp.",
    OwnCreateTakenForNew: "A record that a create of ours under way has made is taken for a new one.",
    GoneRowForgetsItsCreate: "An uncertain create is forgotten once its row is deleted.",
    BusyKeyTriedWithAnother: "An answer that the key is in use is followed by a new key.",
    SavedFailureRetried: "A failure that the service saved under the key is repeated with that key for ever.",
    BusyDropsConfirmation: "What a service confirmed is dropped when the database is busy.",
    // Identity and first contact (rules 26 to 30, 54).
    ReusedIdTakenForSame: "A row with the id of a deleted one is taken for the same record.",
    RekeyAsDeleteAndInsert: "A changed primary key is a delete and an insert.",
    MatchIgnoresLinked: "Candidates that are linked already do not count in a match.",
    BlanksMatch: "Empty match values match each other.",
    CreateBeforeWalk: "Work begins before the first complete walk.",
    CreateWithoutFind: "The service is not asked for a match directly before a create.",
    OneRecordTwoLinks: "Two live links may have one row or one record.",
    HalfAWalkIsAWalk: "A walk that breaks off counts as complete.",
    OlderKeyWins: "An older observation of a match value replaces a newer one.",
    AccountNotCompared: "Credentials of another account are used.",
    // Deletes (rules 30 to 34, 56, 63).
    BareAbsenceIsADelete: "A single 404 is a delete.",
    AbsenceFromListIsADelete: "A record that a list does not show is deleted.",
    MissingTakenForDeleted: "A row that is gone without a captured delete is taken for deleted.",
    DeleteWithoutWaiting: "A delete goes out before the changes committed before it are known.",
    DeleteThoughRowIsBack: "A delete goes out although the row is back by then.",
    DeleteLimitForgotten: "Deletes go out without a limit.",
    DeleteCoalescedAway: "A captured delete is lost in a signal that is waiting already.",
    DeleteIgnoresUpdate: "A delete is carried out although the other side was changed meanwhile.",
    TombstoneRevived: "A late event revives a record whose link is closed.",
    // Capture, work, leases (rules 37 to 44).
    OutboxByIdGreaterThan: "The relay reads entries after the last number seen; one that commits later with a smaller number is lost.",
    LeaseOnWorkRow: "A lease is on the work row, so that two rows of one link are worked on at once.",
    LeaseShorterThanCall: "A lease ends before the call that is made under it.",
    StaleTokenAccepted: "A worker whose lease was taken over still commits.",
    CountersPerRow: "Tokens and generations count from 1 for each row.",
    WakeupLostAfterConflict: "Work that met a leased link is not due again.",
    SignalLostDuringLook: "A signal that comes during a look is done with that look.",
    TakenIsDone: "Work is removed when it is taken.",
    NudgeTrusted: "Nothing looks for due work but a nudge.",
    OutageCountsAttempts: "Attempts are counted during an outage, so that work parks.",
    ThrottleParks: "An answer that we are too fast parks the work.",
    ParkedForEver: "Parked work is not planned again after a new signal.",
    // Inbound (rules 48 to 52).
    WebhookAnsweredEarly: "A webhook is accepted before it is committed.",
    EventKnownBeforeSignalled: "An event's id is committed before its signal.",
    CursorBeforeEvents: "The feed's cursor is committed before the events of its page.",
    CursorFromOurClock: "The feed's cursor is the time of our own clock.",
    EqualStampsSkipped: "The next poll begins after the second in which the last one ended.",
    ListPageIsTheRecord: "A list page's content is applied to a linked record.",
    EventPayloadIsTheRecord: "An event's content is applied to a linked record.",
    OnlyFirstPage: "A list ends with its first page.",
    SignatureNotChecked: "A webhook with a wrong signature is accepted.",
    OldSignatureAccepted: "A webhook signed long ago is accepted.",
    // Brakes (rules 19, 64).
    PauseIgnored: "A pause does not hold anything back.",
    FlapGuardOff: "Values may go back and forth without end.",
    // References (rule 35).
    ReferenceSentUntranslated: "A new record refers to a row's key instead of the record that the row is linked with.",
    WaitsForNothing: "Work that waits for a link is not due when that link is there.",
    ParentDeletedFirst: "A record is deleted before those that refer to it, whose deletes were captured first.",
    SettledForAllPairs: "What a look says of what a brake withholds of a row holds for rows of other pairs with the same key.",
    // Incremental lists, merges, answers that are none (rules 26, 44, 52, 53).
    PolledWithoutLag: "A poll begins where the last one ended, so that what became visible late is passed over.",
    EqualStampsAtPageEdge: "A further page of a poll is read from after the stamp that the page before ended with.",
    ShortenedLogTakenAsComplete: "A log of deletes that was shortened at its beginning is taken as complete.",
    MergedTakenForDeleted: "A record that became part of another is taken for deleted.",
    TokenUsedBeforeStored: "A refresh token that was replaced is used before the new one is stored.",
    PageTakenForAnswer: "A page of something in front of the service is taken for its answer to a write.",
    StampItselfNotLookedUp: "An uncertain create is looked up by what was sent alone, where the service finds records by our stamp.",
    // Bounded echo, full passes (invariant 4, rule 54).
    ConfirmedSentAgain: "An update that the service has confirmed is sent once more.",
    OnlyFirstPassRecorded: "Only the end of the first full pass is stored, so that later ones begin again and again.",
    // What was changed meanwhile (rule 44).
    ConditionForgotten: "An update goes out without the condition that the record is as it was read.",
}

impl Bug {
    /// Its number, from 1.
    pub fn number(self) -> usize {
        self as usize + 1
    }

    /// The bug of this number.
    pub fn numbered(number: usize) -> Option<Bug> {
        number.checked_sub(1).and_then(|at| Self::ALL.get(at)).copied()
    }
}

#[cfg(not(bothways_planted))]
mod chosen {
    use super::Bug;

    /// Whether this mistake is to be made: never, in this build.
    #[inline(always)]
    pub const fn is(_: Bug) -> bool {
        false
    }

    /// Chooses the mistake that this process makes. False: this build makes none.
    pub const fn choose(bug: Option<Bug>) -> bool {
        bug.is_none()
    }
}

#[cfg(bothways_planted)]
mod chosen {
    use super::Bug;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// What a process makes whose suite knows nothing of mistakes: the number in this variable.
    const VARIABLE: &str = "BOTHWAYS_PLANTED";
    const UNREAD: usize = usize::MAX;
    static CHOSEN: AtomicUsize = AtomicUsize::new(UNREAD);

    /// Whether this mistake is to be made.
    pub fn is(bug: Bug) -> bool {
        let chosen = match CHOSEN.load(Ordering::Relaxed) {
            UNREAD => read(),
            number => number,
        };
        chosen == bug.number()
    }

    /// Chooses the mistake that this process makes. True: it does from now on.
    pub fn choose(bug: Option<Bug>) -> bool {
        CHOSEN.store(bug.map_or(0, Bug::number), Ordering::Relaxed);
        true
    }

    fn read() -> usize {
        let number = std::env::var(VARIABLE).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
        CHOSEN.store(number, Ordering::Relaxed);
        number
    }
}

pub use chosen::{choose, is};

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[cfg(not(bothways_planted))]
    #[test]
    fn no_mistake_can_be_chosen_in_a_real_build() {
        // Constants: what hangs on them is not compiled in.
        const _: () = assert!(!is(Bug::EchoNotRecognised) && !choose(Some(Bug::EchoNotRecognised)));
        for bug in Bug::ALL {
            assert!(!choose(Some(*bug)));
            assert!(!is(*bug), "{bug:?}");
        }
    }

    #[cfg(bothways_planted)]
    #[test]
    fn one_mistake_at_a_time() {
        for bug in Bug::ALL {
            assert!(choose(Some(*bug)));
            let made: Vec<_> = Bug::ALL.iter().filter(|other| is(**other)).collect();
            assert_eq!(made, [bug]);
        }
        choose(None);
        assert!(!Bug::ALL.iter().any(|bug| is(*bug)));
    }

    #[test]
    fn numbers_names_and_sentences_tell_them_apart() {
        assert!(Bug::ALL.len() >= 40);
        assert_eq!(Bug::numbered(0), None);
        assert_eq!(Bug::numbered(Bug::ALL.len() + 1), None);
        let mut seen = BTreeSet::new();
        for (at, bug) in Bug::ALL.iter().enumerate() {
            assert_eq!((bug.number(), Bug::numbered(at + 1)), (at + 1, Some(*bug)));
            assert!(bug.about().ends_with('.'), "{bug:?}");
            assert!(seen.insert(bug.name()) && seen.insert(bug.about()), "{bug:?}");
        }
    }
}
