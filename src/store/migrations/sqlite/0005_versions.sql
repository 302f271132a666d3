-- Versions that were published; their files are under versions/. A row stays when its files go: it explains the past.
CREATE TABLE versions (
    ordinal INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL CHECK (kind IN ('generator', 'reward')),
    version TEXT NOT NULL,      -- name@ and twelve digits of the manifest's hash
    manifest TEXT NOT NULL,     -- all of that hash: SHA-256 of manifest.json
    bytes INTEGER NOT NULL,     -- of all files, shared ones too
    parent TEXT,                -- the version that it was trained from
    first_event INTEGER,        -- of the event log: what it was trained on
    last_event INTEGER,
    events_digest TEXT,         -- SHA-256 of what was read of that range
    training TEXT NOT NULL,     -- JSON: how it was trained
    evidence TEXT NOT NULL,     -- JSON: why it may be promoted
    signed_by TEXT,             -- public key of a signature that was good when it was published
    published_by TEXT NOT NULL,
    created INTEGER NOT NULL,
    placed INTEGER NOT NULL,   -- when it was published last: anew, where it was retired
    retired INTEGER,            -- since when its files may be gone
    UNIQUE (kind, version)
);

-- What was made champion or candidate, by whom and why. Rows are only ever added.
CREATE TABLE promotions (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    action TEXT NOT NULL CHECK (action IN ('promote', 'rollback', 'candidate', 'withdraw', 'pause')),
    version TEXT,               -- what the alias names afterwards
    previous TEXT,              -- what it named before
    below INTEGER,              -- for champions: the entry that a rollback from here goes back to
    actor TEXT NOT NULL,
    reason TEXT NOT NULL,
    created INTEGER NOT NULL
);
CREATE INDEX promotions_kind ON promotions (kind, sequence);
CREATE INDEX promotions_version ON promotions (kind, version, sequence);

-- What the log comes to.
CREATE TABLE aliases (
    kind TEXT NOT NULL,
    alias TEXT NOT NULL CHECK (alias IN ('champion', 'candidate')),
    version TEXT NOT NULL,
    sequence INTEGER NOT NULL,  -- the entry of the log that made it so
    PRIMARY KEY (kind, alias),
    FOREIGN KEY (kind, version) REFERENCES versions (kind, version)
);

-- Which start of which server served what, and when. Rows are only ever added: a server's next row of the same kind and
-- role is the end of the one before.
CREATE TABLE servings (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    server TEXT NOT NULL,
    kind TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('champion', 'candidate')),
    version TEXT NOT NULL,
    action TEXT NOT NULL CHECK (action IN ('began', 'ended', 'lost')),  -- lost: the server was gone when others looked
    moment INTEGER NOT NULL
);
CREATE INDEX servings_of ON servings (server, kind, role, sequence);
CREATE INDEX servings_moment ON servings (moment);
