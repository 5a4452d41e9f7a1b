-- What the service's clock said when an intent was committed: whether a create arrived is looked up among records made since then.
ALTER TABLE bothways_intents ADD COLUMN service_at INTEGER;
