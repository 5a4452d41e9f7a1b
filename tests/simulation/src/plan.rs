//! What a seed draws before anything runs: the mapping and its policies, how many workers, the weather, how long.

use crate::dice::Dice;
use crate::kinds::{
    Kind, LAST, MATCH, Place, SALESFORCE_ACCOUNTS, SALESFORCE_CONTACTS, SALESFORCE_CUSTOMERS,
    SALESFORCE_GUARDED_ACCOUNTS, STRIPE_BILLS, STRIPE_CUSTOMERS, STRIPE_INVOICES, Service, WAY,
};
use bothways_engine::Settings;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

/// Rates, each in a million: of what its name says, at each occasion.
#[derive(Clone, Debug, Default)]
pub(crate) struct Weather {
    pub(crate) freeze: u32,
    pub(crate) clock_jump: u32,
    /// How many seconds the machine's clock is ahead all along.
    pub(crate) clock_ahead: i64,
    pub(crate) store_busy: u32,
    pub(crate) store_unknown: u32,
    pub(crate) disk_full: u32,
    pub(crate) nudge_lost: u32,
    pub(crate) nudge_twice: u32,
    pub(crate) nudge_late: u32,
    /// How fateful points a process passes before it dies, at most; 0: none dies.
    pub(crate) kill_within: u64,
    pub(crate) stop: u32,
    pub(crate) other_account: u32,
    pub(crate) outage: u32,
    pub(crate) event_late: u32,
    /// Of requests, by the kind of fault.
    pub(crate) requests: Vec<(RequestFault, u32)>,
    /// Of changes of a customer, by the kind of fault of their event.
    pub(crate) events: Vec<(EventFault, u32)>,
}

/// What can go wrong with one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestFault {
    Refused,
    LostRequest,
    LostAnswer,
    Slow,
    Late,
    Unfinished,
    Duplicate,
    Saved500,
    Saved500Executed,
    Error500,
    Unavailable,
    Unauthorized,
    Forbidden,
    RateLimited,
    LockTimeout,
    KeyInUse,
    LateVisible,
    HiddenRecords,
    Truncated,
    Html,
    HiddenField,
    LowerCases,
    Automation,
    StaleList,
    EmptyList,
    PageRepeated,
    PageSkipped,
    /// Of several records in one call: about half.
    SomeRefused,
    /// The answer about several records lacks one of them.
    ResultMissing,
}

impl RequestFault {
    const ALL: [Self; 27] = [
        Self::Refused,
        Self::LostRequest,
        Self::LostAnswer,
        Self::Slow,
        Self::Late,
        Self::Duplicate,
        Self::Saved500,
        Self::Saved500Executed,
        Self::Error500,
        Self::Unavailable,
        Self::Unauthorized,
        Self::Forbidden,
        Self::RateLimited,
        Self::LockTimeout,
        Self::KeyInUse,
        Self::LateVisible,
        Self::HiddenRecords,
        Self::Truncated,
        Self::Html,
        Self::HiddenField,
        Self::LowerCases,
        Self::Automation,
        Self::StaleList,
        Self::EmptyList,
        Self::PageRepeated,
        Self::PageSkipped,
        Self::Unfinished,
    ];

    /// Faults of lists alone come less often by themselves, so they are drawn more often.
    fn is_rare(self) -> bool {
        matches!(self, Self::StaleList | Self::EmptyList | Self::PageRepeated | Self::PageSkipped)
    }

    /// After these a person has to see to it.
    fn is_grave(self) -> bool {
        matches!(self, Self::Unauthorized | Self::Forbidden | Self::HiddenField | Self::HiddenRecords)
    }
}

/// What can go wrong with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventFault {
    NotGenerated,
    Version,
    Unknown,
    Twice,
    Reordered,
    Lost,
    Delayed,
}

impl EventFault {
    const ALL: [Self; 7] = [
        Self::NotGenerated,
        Self::Version,
        Self::Unknown,
        Self::Twice,
        Self::Reordered,
        Self::Lost,
        Self::Delayed,
    ];
}

/// Which way the field [`WAY`] travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Both,
    In,
    Out,
}

/// Everything that a seed decides beforehand.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) workers: usize,
    pub(crate) sqlite: bool,
    pub(crate) webhooks: bool,
    /// The remote ends of the mappings, parents first.
    pub(crate) places: Vec<&'static Place>,
    /// How often a feed is read, and how often a full pass is made.
    pub(crate) rhythm: (&'static str, &'static str),
    /// How often changes are polled for at Salesforce.
    pub(crate) poll: &'static str,
    /// Somebody ends sessions at Salesforce, empties the recycle bin and shortens the log of deletes.
    pub(crate) admins: bool,
    /// Merges among edits of records at Salesforce, in a million.
    pub(crate) merges: u32,
    /// Records taken back out of the recycle bin among them.
    pub(crate) restores: u32,
    /// Salesforce replaces the refresh token at each renewal.
    pub(crate) rotates: bool,
    /// Processes that die with a new refresh token in hand, in a million renewals.
    pub(crate) dies_with_token: u32,
    /// Steps in the life of invoices among edits of these, in a million.
    pub(crate) steps: u32,
    pub(crate) way: Way,
    pub(crate) winner: &'static str,
    pub(crate) from_remote: &'static str,
    pub(crate) from_local: &'static str,
    pub(crate) create_row: &'static str,
    pub(crate) create_record: &'static str,
    pub(crate) update_wins: bool,
    pub(crate) blind: bool,
    pub(crate) settings: Settings,
    pub(crate) weather: Weather,
    pub(crate) active: Duration,
    /// Rows and records that are there before the engine.
    pub(crate) before: u64,
    /// The mean pause between two edits of one side.
    pub(crate) pause: Duration,
    /// Deletes among edits, in a million.
    pub(crate) deletes: u32,
    /// Key changes, id reuse and the like among local edits, in a million.
    pub(crate) oddities: u32,
    /// What is done with the archive among local edits, in a million. 0: tables have none.
    pub(crate) archives: u32,
    /// Edits of everything at once among edits, in a million.
    pub(crate) masses: u32,
    pub(crate) operators: bool,
    /// Somebody approves what brakes withhold.
    pub(crate) approves: bool,
    /// The mapping's `safety`.
    safety: &'static str,
    /// A worker that died is down for at most so long.
    pub(crate) down_for: Duration,
}

impl Plan {
    /// Draws a plan.
    pub(crate) fn draw(dice: &mut Dice, workers: Option<usize>, sqlite: Option<bool>) -> Self {
        let drawn_workers = dice.one_of([1, 1, 1, 2, 2, 3, 4]);
        let drawn_sqlite = dice.below(100) == 0;
        let sqlite = sqlite.unwrap_or(drawn_sqlite);
        let weather = Weather::draw(dice);
        let winner = dice.one_of(["manual", "local", "local", "remote", "remote"]);
        let way = dice.one_of([Way::Both, Way::Both, Way::In, Way::Out]);
        let from_remote =
            dice.one_of(["manual", "manual", "ignore", "unlink", "delete", "delete", "recreate"]);
        let from_local = dice.one_of(["manual", "ignore", "unlink", "delete", "delete"]);
        let create_row = dice.one_of(["create", "create", "create", "create", "manual", "ignore"]);
        let create_record = dice.one_of(["create", "create", "create", "create", "manual", "ignore"]);
        let (webhooks, feed, reconcile) = dice.one_of([
            (true, "never", "never"),
            (true, "10s", "never"),
            (true, "never", "60s"),
            (true, "10s", "5m"),
            (false, "5s", "never"),
            (false, "10s", "60s"),
            (false, "never", "30s"),
            (false, "60s", "2m"),
        ]);
        let mut plan = Self {
            workers: workers.unwrap_or(drawn_workers),
            sqlite,
            webhooks,
            places: vec![&STRIPE_CUSTOMERS],
            rhythm: (feed, reconcile),
            poll: "10s",
            admins: false,
            merges: 0,
            restores: 0,
            rotates: false,
            dies_with_token: 0,
            steps: 0,
            way,
            winner,
            from_remote,
            from_local,
            create_row,
            create_record,
            update_wins: dice.below(3) > 0,
            blind: dice.below(8) == 0,
            settings: Settings {
                relay_batch: usize::try_from(dice.one_of([1, 3, 500])).unwrap_or(500),
                together: false,
                ..Settings::default()
            },
            weather,
            active: Duration::from_secs(dice.scale(20, 600)),
            before: dice.one_of([0, 0, 3, 8]),
            pause: Duration::ZERO,
            deletes: dice.one_of([0, 20_000, 100_000, 200_000]),
            oddities: dice.one_of([0, 0, 50_000, 150_000]),
            archives: 0,
            masses: 0,
            operators: dice.below(3) == 0,
            down_for: Duration::from_secs(300),
            approves: true,
            safety: "",
        };
        plan.approves = dice.below(4) > 0;
        plan.safety = dice.one_of([
            "",
            "",
            "deletes: 2",
            "deletes: 5, blanking: 2",
            "blanking: 1",
            "creates: 5, updates: 3",
        ]);
        let edits = u32::try_from(dice.scale(6, 100)).unwrap_or(100);
        plan.masses = dice.one_of([0, 0, 10_000, 40_000]);
        plan.places = match dice.below(24) {
            0..8 => vec![&STRIPE_CUSTOMERS, &STRIPE_INVOICES],
            8..10 => vec![&SALESFORCE_ACCOUNTS],
            10..13 => vec![&SALESFORCE_ACCOUNTS, &SALESFORCE_CONTACTS],
            13..15 => vec![&STRIPE_CUSTOMERS, &SALESFORCE_CUSTOMERS],
            _ => plan.places,
        };
        plan.poll = dice.one_of(["5s", "10s", "10s", "60s"]);
        let salesforce = plan.services().contains(&Service::Salesforce);
        plan.admins = salesforce && dice.below(2) == 0;
        plan.merges = if salesforce { dice.one_of([0, 0, 20_000, 60_000]) } else { 0 };
        if !plan.services().contains(&Service::Stripe) {
            plan.webhooks = false;
            plan.weather.other_account = 0;
        }
        if salesforce {
            plan.draw_together(dice);
            plan.draw_tokens(dice);
            plan.restores = dice.one_of([0, 30_000, 100_000]);
        }
        if plan.places.len() > 1 && plan.places[1].kind.is(STRIPE_INVOICES.kind) && dice.below(2) == 0 {
            plan.places[1] = &STRIPE_BILLS;
            plan.steps = dice.one_of([0, 30_000, 150_000]);
        }
        plan.draw_what_salesforce_can(&mut dice.fork(9));
        plan.draw_archive(&mut dice.fork(10));
        // As many edits, whatever they are of.
        plan.pause = plan.active / edits * u32::try_from(plan.places.len()).unwrap_or(1);
        plan
    }

    /// Whether requests at Salesforce go together, and what then goes wrong with some of their records.
    fn draw_together(&mut self, dice: &mut Dice) {
        self.settings.together = dice.below(4) > 0;
        let is_calm = self.weather.requests.is_empty();
        for fault in [RequestFault::SomeRefused, RequestFault::ResultMissing] {
            let rate = dice.one_of([0, 0, 100_000, 400_000]);
            if self.settings.together && rate > 0 && !is_calm {
                self.weather.requests.push((fault, rate));
            }
        }
    }

    /// Salesforce says when a record was changed, so that the later change can win, and takes updates of accounts under a condition. Of a
    /// stream of its own.
    fn draw_what_salesforce_can(&mut self, dice: &mut Dice) {
        let (newest, guarded) = (dice.below(3) == 0, dice.below(3) == 0);
        if newest && !self.services().contains(&Service::Stripe) {
            self.winner = "newest";
        }
        for place in
            self.places.iter_mut().filter(|place| guarded && place.mapping == SALESFORCE_ACCOUNTS.mapping)
        {
            *place = &SALESFORCE_GUARDED_ACCOUNTS;
        }
    }

    /// Whether tables have a column that says that a row is archived, and what becomes of a row there whose record is gone. Of a stream of
    /// its own.
    fn draw_archive(&mut self, dice: &mut Dice) {
        let (has_one, rate) = (dice.below(4) == 0, dice.one_of([50_000, 150_000, 400_000]));
        let from_remote = dice.one_of(["archive", "archive", self.from_remote]);
        if has_one {
            (self.archives, self.from_remote) = (rate, from_remote);
        }
    }

    /// Whether refresh tokens rotate, which is lost on who has no fault to fear.
    fn draw_tokens(&mut self, dice: &mut Dice) {
        self.rotates = dice.below(3) == 0;
        let rate = dice.one_of([0, 100_000, 300_000]);
        if self.rotates && self.weather.kill_within > 0 {
            self.dies_with_token = rate;
        }
    }

    /// Without chance: for the flows whose crash points are enumerated.
    pub(crate) fn quiet(places: Vec<&'static Place>) -> Self {
        let mut plan = Self::draw(&mut Dice::new(1), Some(1), Some(false));
        plan.webhooks = true;
        plan.places = places;
        plan.rhythm = ("never", "never");
        plan.poll = "5s";
        plan.admins = false;
        plan.merges = 0;
        plan.restores = 0;
        plan.rotates = false;
        plan.dies_with_token = 0;
        plan.steps = 0;
        plan.way = Way::Both;
        plan.winner = "local";
        plan.from_remote = "delete";
        plan.from_local = "delete";
        plan.create_row = "create";
        plan.create_record = "create";
        plan.update_wins = true;
        plan.blind = false;
        plan.settings = Settings::default();
        plan.weather = Weather::default();
        plan.active = Duration::ZERO;
        plan.before = 0;
        plan.operators = false;
        plan.archives = 0;
        plan.masses = 0;
        plan.approves = true;
        plan.safety = "";
        plan.down_for = Duration::from_secs(5);
        plan
    }

    /// The kinds of records, parents first.
    pub(crate) fn kinds(&self) -> Vec<&'static Kind> {
        let mut kinds: Vec<&'static Kind> = Vec::new();
        for place in &self.places {
            if !kinds.iter().any(|kind| kind.is(place.kind)) {
                kinds.push(place.kind);
            }
        }
        kinds
    }

    /// The catalog document of a kind.
    pub(crate) fn catalog(&self, kind: &Kind) -> String {
        let archive = if self.archives > 0 { "deleted_at: archived_at\n" } else { "" };
        format!("{}{archive}", kind.document)
    }

    /// The mappings whose records refer to those of this kind.
    pub(crate) fn children(&self, kind: &Kind) -> impl Iterator<Item = &'static Place> {
        let refers = move |place: &&'static Place| place.kind.parent.is_some_and(|parent| parent.is(kind));
        self.places.iter().copied().filter(refers)
    }

    /// The services there are.
    pub(crate) fn services(&self) -> BTreeSet<Service> {
        self.places.iter().map(|place| place.service).collect()
    }

    /// Which way the field [`WAY`] of a kind travels.
    pub(crate) fn way_of(&self, kind: &Kind) -> Way {
        if kind.has_amount { Way::In } else { self.way }
    }

    /// The mapping document.
    pub(crate) fn document(&self, place: &Place) -> String {
        let kind = place.kind;
        let matched =
            if kind.is_matched { format!("match: [{}], ", kind.labels[MATCH]) } else { String::new() };
        let mut text = format!(
            "
mapping: {}
local: {}
remote: {}
identity: {{ {matched}stamp: $.{} }}
fields:
",
            place.mapping,
            kind.catalog,
            place.remote(),
            place.stamped(),
        );
        for (field, label) in kind.labels.iter().enumerate() {
            let mut terms = vec![format!("remote: $.{}", place.names[field])];
            match (field, self.way_of(kind)) {
                (MATCH, _) if kind.is_matched => terms.push("normalize: [trim, lower]".to_owned()),
                (WAY, Way::In) => terms.push("direction: in".to_owned()),
                (WAY, Way::Out) => terms.push("direction: out".to_owned()),
                (LAST, _) if kind.stays => terms.push("required: true, immutable: true".to_owned()),
                _ => {}
            }
            let _ = writeln!(text, "  {label}: {{ {} }}", terms.join(", "));
        }
        let check = if self.blind { "blind" } else { "read" };
        let confirm = if place.service == Service::Stripe { "confirm: irreversible, " } else { "" };
        let against = if self.update_wins { "update_wins" } else { "delete_wins" };
        let _ = writeln!(
            text,
            "creates: {{ from_remote: {}, from_local: {} }}",
            self.create_row, self.create_record
        );
        let _ = writeln!(text, "conflicts: {{ winner: {}, check: {check} }}", self.winner);
        let _ = writeln!(
            text,
            "deletes: {{ from_remote: {}, from_local: {}, {confirm}against_update: {against} }}",
            self.from_remote, self.from_local
        );
        if !self.safety.is_empty() {
            let _ = writeln!(text, "safety: {{ {} }}", self.safety);
        }
        if let Some((name, value)) = place.on_create() {
            let _ = writeln!(text, "on_create: {{ remote: {{ $.{name}: {value} }} }}");
        }
        let (feed, reconcile) = self.rhythm;
        let _ = match place.service {
            Service::Stripe => writeln!(text, "sync: {{ feed: {feed}, reconcile: {reconcile} }}"),
            Service::Salesforce => writeln!(text, "sync: {{ poll: {}, reconcile: {reconcile} }}", self.poll),
        };
        text
    }

    /// Whether polls tell of every change of a record.
    pub(crate) fn polls_tell_all(&self) -> bool {
        let hides = [RequestFault::EmptyList, RequestFault::HiddenRecords, RequestFault::PageRepeated];
        !self.admins && self.weather.requests.iter().all(|(fault, _)| !hides.contains(fault))
    }

    /// Whether the feed tells of every change of a record.
    pub(crate) fn feed_tells_all(&self) -> bool {
        self.rhythm.0 != "never" && self.events_keep_to(&[])
    }

    /// Whether webhooks tell of every change of a record, once all are delivered.
    pub(crate) fn webhooks_tell_all(&self) -> bool {
        // By a clock that is wrong by more than minutes none is accepted.
        let is_accepted = self.weather.clock_ahead == 0 && self.weather.other_account == 0;
        self.webhooks && is_accepted && self.events_keep_to(&[EventFault::Lost])
    }

    /// Whether no fault keeps an event from being told: none of these, and none that hits the feed as well.
    fn events_keep_to(&self, lost: &[EventFault]) -> bool {
        let silent = [EventFault::NotGenerated, EventFault::Version, EventFault::Unknown];
        let tells = |fault: &EventFault| !silent.contains(fault) && !lost.contains(fault);
        self.weather.events.iter().all(|(fault, _)| tells(fault))
    }

    /// How many deletes the mapping lets pass in half an hour, as long as there are fewer than 100 links.
    pub(crate) fn most_deletes(&self) -> usize {
        self.number_of("deletes").unwrap_or(10)
    }

    /// How many records it lets one field be emptied of.
    pub(crate) fn most_blankings(&self) -> usize {
        self.number_of("blanking").unwrap_or(5)
    }

    fn number_of(&self, kind: &str) -> Option<usize> {
        let mut pairs = self.safety.split(',').filter_map(|pair| pair.trim().split_once(": "));
        pairs.find(|(name, _)| *name == kind)?.1.parse().ok()
    }

    /// In one line.
    pub(crate) fn summary(&self) -> String {
        format!(
            "{}, {} worker(s){}{}, webhooks {}, winner {}, {:?}, from_remote {}, from_local {}, creates {}/{}, {}{}, safety {:?}, active {:?}, weather {:?}",
            self.places.iter().map(|place| place.mapping).collect::<Vec<_>>().join(", "),
            self.workers,
            if self.sqlite { " on SQLite" } else { "" },
            if self.archives > 0 { " with an archive" } else { "" },
            self.webhooks,
            self.winner,
            self.way,
            self.from_remote,
            self.from_local,
            self.create_row,
            self.create_record,
            if self.update_wins { "update_wins" } else { "delete_wins" },
            if self.blind { ", blind" } else { "" },
            (self.safety, self.approves),
            self.active,
            self.weather
        )
    }
}

impl Weather {
    /// Each seed has some kinds of faults and not others: where everything fails all the time nothing much happens.
    fn draw(dice: &mut Dice) -> Self {
        match dice.below(20) {
            0 => return Self::default(),
            1 => return Self { kill_within: 400, ..Self::default() },
            _ => {}
        }
        let mut some =
            |share: u64, rates: [u32; 3]| if dice.below(100) < share { dice.one_of(rates) } else { 0 };
        let mut weather = Self {
            freeze: some(25, [300, 1_000, 4_000]),
            clock_jump: some(15, [5_000, 20_000, 60_000]),
            clock_ahead: 0,
            store_busy: some(30, [2_000, 10_000, 50_000]),
            store_unknown: some(30, [1_000, 5_000, 30_000]),
            disk_full: some(8, [200, 500, 1_000]),
            nudge_lost: some(25, [20_000, 200_000, 1_000_000]),
            nudge_twice: some(15, [50_000, 200_000, 500_000]),
            nudge_late: some(15, [50_000, 200_000, 500_000]),
            kill_within: u64::from(some(60, [40, 300, 1_500])),
            stop: some(15, [10_000, 20_000, 50_000]),
            other_account: some(10, [100_000, 200_000, 300_000]),
            outage: some(15, [500, 2_000, 5_000]),
            event_late: some(20, [50_000, 200_000, 500_000]),
            requests: Vec::new(),
            events: Vec::new(),
        };
        for kind in RequestFault::ALL {
            let (share, rates) = match kind {
                kind if kind.is_rare() => (20, [30_000, 100_000, 300_000]),
                kind if kind.is_grave() => (6, [1_000, 3_000, 10_000]),
                RequestFault::LowerCases | RequestFault::Automation => (12, [50_000, 200_000, 1_000_000]),
                RequestFault::LateVisible => (50, [5_000, 30_000, 100_000]),
                _ => (25, [5_000, 30_000, 100_000]),
            };
            let rate = some(share, rates);
            if rate > 0 {
                weather.requests.push((kind, rate));
            }
        }
        for kind in EventFault::ALL {
            let rate = some(25, [30_000, 150_000, 500_000]);
            if rate > 0 {
                weather.events.push((kind, rate));
            }
        }
        if weather.clock_jump == 0 && dice.below(8) == 0 {
            weather.clock_ahead = dice.one_of([1, 2, 3, -1]) * dice.between(1_200, 5_400).cast_signed();
        }
        weather
    }
}
