-- Times are Unix seconds, identifiers their text forms, digests lower-case hexadecimal unless they are blobs.

CREATE TABLE keys (
    id TEXT COLLATE "C" PRIMARY KEY,
    name TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('client', 'admin')),
    digest BYTEA NOT NULL,       -- SHA-256 of the key; the key itself is nowhere
    digest_head TEXT NOT NULL,  -- its first bytes: finds the row, decides nothing
    created BIGINT NOT NULL,
    revoked BIGINT
);
CREATE INDEX keys_digest_head ON keys (digest_head);

CREATE TABLE jobs (
    id TEXT COLLATE "C" PRIMARY KEY,
    owner TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'completed', 'failed', 'cancelled')),
    keep BOOLEAN NOT NULL,
    request TEXT NOT NULL,      -- JSON: enough to draw it again
    start_blob TEXT,            -- the picture it starts from
    idempotency_key TEXT,
    body_digest BYTEA,
    last_sequence BIGINT NOT NULL DEFAULT 0,
    result TEXT,                -- JSON, once completed
    failure TEXT,               -- JSON, once failed
    created BIGINT NOT NULL,
    finished BIGINT,
    expires BIGINT
);
CREATE UNIQUE INDEX jobs_idempotency ON jobs (owner, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX jobs_owner ON jobs (owner, id);
CREATE INDEX jobs_expires ON jobs (expires);
CREATE INDEX jobs_finished ON jobs (finished, id);
CREATE INDEX jobs_start_blob ON jobs (start_blob) WHERE start_blob IS NOT NULL;

-- What is left of a job whose time is over, so that its owner is told 410 and not 404.
CREATE TABLE tombstones (
    id TEXT COLLATE "C" PRIMARY KEY,
    owner TEXT NOT NULL,
    expired BIGINT NOT NULL
);
CREATE INDEX tombstones_expired ON tombstones (expired);

CREATE TABLE images (
    ordinal BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id TEXT COLLATE "C" NOT NULL UNIQUE,
    job TEXT COLLATE "C" NOT NULL REFERENCES jobs (id),
    owner TEXT NOT NULL,
    position BIGINT NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    format TEXT NOT NULL,
    blob TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    width BIGINT NOT NULL,
    height BIGINT NOT NULL,
    seed BIGINT NOT NULL,
    model_version TEXT NOT NULL,
    rater TEXT,
    parameters TEXT NOT NULL    -- JSON, under the API's names
);
-- How much room pictures take is asked of the index alone.
CREATE INDEX images_bytes ON images (bytes);
CREATE INDEX images_owner ON images (owner, ordinal);
CREATE INDEX images_job ON images (job);
CREATE INDEX images_blob ON images (blob);

-- Schema v1 of the event log: docs/events.md. Rows are only ever added, one transaction after the other: src/store/events.rs.
CREATE TABLE events (
    sequence BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind TEXT NOT NULL,
    created BIGINT NOT NULL,
    job TEXT,
    owner TEXT NOT NULL,
    body TEXT NOT NULL          -- JSON
);
CREATE INDEX events_job ON events (job);
