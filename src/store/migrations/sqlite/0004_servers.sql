-- Which start of which server draws a job. Another one takes it over only once that server is gone.
ALTER TABLE jobs ADD COLUMN server TEXT;
-- Whether its owner called it off through another server than the one that draws it.
ALTER TABLE jobs ADD COLUMN called_off BOOLEAN NOT NULL DEFAULT FALSE;

-- Servers that share the database. Empty in SQLite: there is one, and it holds the directory's lock.
CREATE TABLE servers (
    id TEXT PRIMARY KEY,
    expires INTEGER NOT NULL    -- by the database's clock; past it the server is taken for dead
);

-- What all servers must agree on: the key of session cookies, the database's own name.
CREATE TABLE facts (
    name TEXT PRIMARY KEY,
    value BLOB NOT NULL
);
