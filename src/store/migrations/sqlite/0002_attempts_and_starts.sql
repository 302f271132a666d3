-- Starts at which an unfinished kept job was taken up again. A server that stops in good order takes its own off.
ALTER TABLE jobs ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0;
-- Size of the picture it starts from, for the quota; 0 for jobs of earlier versions, whose size nobody wrote down.
ALTER TABLE jobs ADD COLUMN start_bytes INTEGER NOT NULL DEFAULT 0;
