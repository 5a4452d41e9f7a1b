-- Brakes that are on; one goes when it withholds nothing any more. Numbers are never reused: approvals name them.
CREATE TABLE bothways_brakes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    pair INTEGER NOT NULL,
    kind TEXT NOT NULL,
    part TEXT NOT NULL,
    since INTEGER NOT NULL,
    counted INTEGER NOT NULL,
    most INTEGER NOT NULL,
    UNIQUE (pair, kind, part)
);

-- What brakes count, one row for each thing: announced, withheld, done, or spent (done as approved, not counted).
CREATE TABLE bothways_charges (
    pair INTEGER NOT NULL,
    kind TEXT NOT NULL,
    part TEXT NOT NULL,
    key TEXT NOT NULL,
    state TEXT NOT NULL,
    what TEXT NOT NULL,
    at INTEGER NOT NULL,
    approved_until INTEGER,
    approved_by TEXT,
    PRIMARY KEY (pair, kind, part, key)
);
CREATE INDEX bothways_charges_state ON bothways_charges (pair, kind, part, state, at);
CREATE INDEX bothways_charges_key ON bothways_charges (key) WHERE state <> 'done';
CREATE INDEX bothways_charges_done ON bothways_charges (at) WHERE state IN ('done', 'spent');

-- The full pass that signalled this work, if nobody else did.
ALTER TABLE bothways_work ADD COLUMN pass TEXT;

-- Who approved what a brake had withheld.
ALTER TABLE bothways_history ADD COLUMN approved_by TEXT;
