-- The engine's own tables. Times are nanoseconds since 1970, UTC, unless a trigger writes them; JSON is text.

-- Numbers observations, fencing tokens and generations; never goes back.
CREATE TABLE bothways_counter (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    value INTEGER NOT NULL
);
INSERT INTO bothways_counter (one, value) VALUES (1, 0);

-- Which catalogs a person had installed, so that nothing is ever installed for others.
CREATE TABLE bothways_catalogs (
    catalog TEXT NOT NULL PRIMARY KEY,
    table_name TEXT NOT NULL
);

-- The capture log: filled by triggers, claimed and deleted by the relay. Numbers are never reused: facts are named by them.
CREATE TABLE bothways_changes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    catalog TEXT NOT NULL,
    key TEXT NOT NULL,
    op TEXT NOT NULL,
    old_key TEXT,
    at TEXT NOT NULL
);
CREATE INDEX bothways_changes_rekey ON bothways_changes (id) WHERE op = 'rekey';
CREATE INDEX bothways_changes_delete ON bothways_changes (catalog, key) WHERE op = 'delete';

CREATE TABLE bothways_pairs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    catalog TEXT NOT NULL,
    connection TEXT NOT NULL,
    resource TEXT NOT NULL,
    mapping TEXT NOT NULL,
    account TEXT,
    mode TEXT NOT NULL,
    approval TEXT,
    walked_at INTEGER,
    passed_at INTEGER,
    retired_at INTEGER,
    UNIQUE (catalog, connection, resource)
);

-- `live` is 1 while both ids must be unique; `intents` is the number of the last intent and survives pruning.
CREATE TABLE bothways_links (
    id TEXT NOT NULL PRIMARY KEY,
    pair INTEGER NOT NULL,
    local_id TEXT,
    remote_id TEXT,
    account TEXT,
    mode TEXT NOT NULL,
    state TEXT NOT NULL,
    live INTEGER NOT NULL,
    body TEXT NOT NULL,
    conflicts INTEGER NOT NULL,
    choice INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    in_step_at INTEGER,
    token INTEGER,
    lease_until INTEGER,
    intents INTEGER NOT NULL
);
CREATE UNIQUE INDEX bothways_links_local ON bothways_links (pair, local_id) WHERE live = 1 AND local_id IS NOT NULL;
CREATE UNIQUE INDEX bothways_links_remote ON bothways_links (pair, remote_id) WHERE live = 1 AND remote_id IS NOT NULL;
CREATE INDEX bothways_links_closed_local ON bothways_links (pair, local_id) WHERE live = 0 AND local_id IS NOT NULL;
CREATE INDEX bothways_links_closed_remote ON bothways_links (pair, remote_id) WHERE live = 0 AND remote_id IS NOT NULL;
CREATE INDEX bothways_links_state ON bothways_links (pair, state, conflicts);
CREATE INDEX bothways_links_choice ON bothways_links (id) WHERE choice = 1;

CREATE TABLE bothways_intents (
    link TEXT NOT NULL,
    number INTEGER NOT NULL,
    pair INTEGER NOT NULL,
    kind TEXT NOT NULL,
    request TEXT NOT NULL,
    fields TEXT NOT NULL,
    key TEXT NOT NULL,
    state TEXT NOT NULL,
    pending INTEGER NOT NULL,
    at INTEGER NOT NULL,
    sent_at INTEGER NOT NULL,
    outcome TEXT,
    PRIMARY KEY (link, number)
);
CREATE INDEX bothways_intents_pending ON bothways_intents (pair, kind, link, number) WHERE pending = 1;
CREATE INDEX bothways_intents_deletes ON bothways_intents (pair, at) WHERE kind = 'delete';
CREATE INDEX bothways_intents_closed ON bothways_intents (at) WHERE pending = 0;

-- Signals, coalesced; parked work too. `taken` is the generation when it was last taken.
CREATE TABLE bothways_work (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    pair INTEGER NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    generation INTEGER NOT NULL,
    taken INTEGER NOT NULL,
    look INTEGER NOT NULL,
    due INTEGER,
    not_before INTEGER,
    since INTEGER NOT NULL,
    facts TEXT,
    attempts INTEGER NOT NULL,
    tried_since INTEGER,
    last_error TEXT,
    held TEXT,
    reason TEXT,
    parked TEXT,
    UNIQUE (pair, kind, subject)
);
CREATE INDEX bothways_work_due ON bothways_work (pair, due, id) WHERE due IS NOT NULL;
CREATE INDEX bothways_work_facts ON bothways_work (pair, subject) WHERE facts IS NOT NULL;
CREATE INDEX bothways_work_parked ON bothways_work (pair, reason, id) WHERE reason IS NOT NULL;

-- Match keys of both sides; a null value is a record that never matches.
CREATE TABLE bothways_keys (
    pair INTEGER NOT NULL,
    side TEXT NOT NULL,
    id TEXT NOT NULL,
    value TEXT,
    seen INTEGER NOT NULL,
    content TEXT,
    PRIMARY KEY (pair, side, id)
);
CREATE INDEX bothways_keys_value ON bothways_keys (pair, value, side, id) WHERE value IS NOT NULL;
CREATE INDEX bothways_keys_blank ON bothways_keys (pair, side, id) WHERE value IS NULL;

-- Event ids that were accepted.
CREATE TABLE bothways_inbox (
    number INTEGER PRIMARY KEY,
    connection TEXT NOT NULL,
    event TEXT NOT NULL,
    at INTEGER NOT NULL,
    UNIQUE (connection, event)
);

CREATE TABLE bothways_cursors (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE bothways_history (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    pair INTEGER NOT NULL,
    link TEXT,
    local_id TEXT,
    remote_id TEXT,
    side TEXT NOT NULL,
    op TEXT NOT NULL,
    fields TEXT NOT NULL,
    rules TEXT NOT NULL,
    cause TEXT NOT NULL,
    pass TEXT
);
CREATE INDEX bothways_history_link ON bothways_history (link) WHERE link IS NOT NULL;
CREATE INDEX bothways_history_local ON bothways_history (local_id) WHERE local_id IS NOT NULL;
CREATE INDEX bothways_history_remote ON bothways_history (remote_id) WHERE remote_id IS NOT NULL;

CREATE TABLE bothways_pauses (
    scope TEXT NOT NULL PRIMARY KEY,
    reason TEXT NOT NULL,
    by TEXT NOT NULL,
    at INTEGER NOT NULL
);

CREATE TABLE bothways_audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    by TEXT NOT NULL,
    action TEXT NOT NULL,
    detail TEXT NOT NULL
);

CREATE TABLE bothways_tokens (
    hash TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    scope TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    used_at INTEGER,
    revoked_at INTEGER
);
