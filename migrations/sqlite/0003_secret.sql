-- The installation's own secret, made once: hashes keyed by it tell whether a value is still the one that somebody saw, without the value.
CREATE TABLE bothways_secrets (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);
INSERT INTO bothways_secrets (name, value) VALUES ('installation', lower(hex(randomblob(32))));
