-- What services gave connections to prove themselves with, where that changes: encrypted with a key that is not in this database.
-- `last` numbers the renewals that were begun, `number` is the one whose grant is kept. `origin` tells what it all descends from, as a
-- digest of the operator's first token: another one starts anew. `refused` says why nothing of it is of use any more.
CREATE TABLE bothways_credentials (
    connection TEXT NOT NULL PRIMARY KEY,
    origin TEXT NOT NULL,
    number INTEGER NOT NULL,
    key TEXT,
    sealed TEXT,
    last INTEGER NOT NULL,
    renewing_until INTEGER,
    refused TEXT
);
