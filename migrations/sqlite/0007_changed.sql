-- When the row was last changed, by the log: what `winner: newest` compares.
ALTER TABLE bothways_work ADD COLUMN changed INTEGER;
