-- What an accepted event told of, for `explain`: which record, what happened to it, and whether it had it looked at.
ALTER TABLE bothways_inbox ADD COLUMN resource TEXT;
ALTER TABLE bothways_inbox ADD COLUMN record TEXT;
ALTER TABLE bothways_inbox ADD COLUMN effect TEXT;
ALTER TABLE bothways_inbox ADD COLUMN signalled INTEGER NOT NULL DEFAULT 0;
CREATE INDEX bothways_inbox_record ON bothways_inbox (connection, record) WHERE record IS NOT NULL;
