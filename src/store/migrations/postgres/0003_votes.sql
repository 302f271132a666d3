-- Pictures that were voted on or are gold, with all that a row of a dataset needs: they outlive their jobs.
CREATE TABLE feedback_images (
    image TEXT COLLATE "C" PRIMARY KEY,
    owner TEXT NOT NULL,        -- the picture's
    job TEXT COLLATE "C" NOT NULL,          -- finds the event with the whole candidate set
    created BIGINT NOT NULL,   -- when it was drawn
    kept BOOLEAN NOT NULL,      -- whether the blob is kept for it: not where the quota left no room, nor once deleted
    format TEXT NOT NULL,
    blob TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    width BIGINT NOT NULL,
    height BIGINT NOT NULL,
    seed BIGINT NOT NULL,
    model_version TEXT NOT NULL,
    rater TEXT,                 -- whom it was drawn for
    parameters TEXT NOT NULL,   -- JSON, under the API's names
    gold TEXT CHECK (gold IN ('up', 'down'))  -- the right answer, where an administrator gave one
);
CREATE INDEX feedback_images_blob ON feedback_images (blob) WHERE kept;
CREATE INDEX feedback_images_job ON feedback_images (job);
CREATE INDEX feedback_images_gold ON feedback_images (image) WHERE gold IS NOT NULL;

-- What each rater says of each picture as it stands; how it came to that is in events.
CREATE TABLE votes (
    image TEXT COLLATE "C" NOT NULL REFERENCES feedback_images (image),
    owner TEXT NOT NULL,        -- under whom the rater is known: raters of two keys are two, even of one name
    rater TEXT NOT NULL,
    rating TEXT NOT NULL CHECK (rating IN ('up', 'down', 'clear')),
    feedback TEXT COLLATE "C" NOT NULL,     -- name of the event that said so last
    sequence BIGINT NOT NULL,  -- and its place in the log
    created BIGINT NOT NULL,   -- of the first event
    updated BIGINT NOT NULL,
    dwell_ms BIGINT,
    quarantined BOOLEAN NOT NULL,
    PRIMARY KEY (image, owner, rater)
);
CREATE UNIQUE INDEX votes_sequence ON votes (sequence);
CREATE INDEX votes_owner ON votes (owner, feedback);
CREATE INDEX votes_rater ON votes (owner, rater, sequence);

-- What a review of a rater found; one without a row was never found wanting.
CREATE TABLE raters (
    owner TEXT NOT NULL,
    rater TEXT NOT NULL,
    quarantined BOOLEAN NOT NULL,
    reason TEXT,                -- gold, agreement or dwell, while in quarantine
    PRIMARY KEY (owner, rater)
);

-- Answers to feedback that came with an Idempotency-Key.
CREATE TABLE feedback_keys (
    scope TEXT NOT NULL,        -- whose key it is
    idempotency_key TEXT NOT NULL,
    body_digest TEXT NOT NULL,  -- SHA-256 of the request's body
    response TEXT NOT NULL,     -- JSON
    created BIGINT NOT NULL,
    PRIMARY KEY (scope, idempotency_key)
);
CREATE INDEX feedback_keys_created ON feedback_keys (created);
