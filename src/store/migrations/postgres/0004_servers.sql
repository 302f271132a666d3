-- Which start of which server draws a job. Another one takes it over only once that server is gone.
ALTER TABLE jobs ADD COLUMN server TEXT COLLATE "C";
-- Whether its owner called it off through another server than the one that draws it.
ALTER TABLE jobs ADD COLUMN called_off BOOLEAN NOT NULL DEFAULT FALSE;

-- Servers that share the database.
CREATE TABLE servers (
    id TEXT COLLATE "C" PRIMARY KEY,
    expires BIGINT NOT NULL    -- by the database's clock; past it the server is taken for dead
);

-- What all servers must agree on: the key of session cookies, the database's own name.
CREATE TABLE facts (
    name TEXT PRIMARY KEY,
    value BYTEA NOT NULL
);

-- How much room the pictures take that jobs start from.
CREATE INDEX jobs_start_bytes ON jobs (start_bytes) WHERE start_bytes > 0;
