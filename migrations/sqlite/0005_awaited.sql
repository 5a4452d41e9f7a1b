-- The link of another pair that work waits for, as PAIR/SIDE/ID: the commit that brings the link makes the work due.
ALTER TABLE bothways_work ADD COLUMN awaits TEXT;
CREATE INDEX bothways_work_awaits ON bothways_work (awaits) WHERE awaits IS NOT NULL;
