-- What a connection's credentials descended from before, as digests with spaces between: whoever still has one of those does not start anew.
ALTER TABLE bothways_credentials ADD COLUMN former TEXT NOT NULL DEFAULT '';
