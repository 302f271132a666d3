-- Versions of the generator that were tried beside the champion, and how that ended. At most one goes on.
CREATE TABLE trials (
    sequence BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    version TEXT NOT NULL,
    champion TEXT NOT NULL,     -- what it is tried beside
    share DOUBLE PRECISION NOT NULL,        -- of those who ask
    shadow BIGINT NOT NULL,    -- requests that it draws for nobody first
    state TEXT NOT NULL CHECK (state IN ('shadow', 'canary', 'paused', 'promoted', 'rolled_back', 'withdrawn')),
    over BOOLEAN NOT NULL,
    actor TEXT NOT NULL,
    reason TEXT NOT NULL,       -- of the last change
    after BIGINT NOT NULL,     -- votes behind this place of the event log count
    started BIGINT NOT NULL,
    changed BIGINT NOT NULL,
    evidence TEXT NOT NULL      -- JSON: what decided
);
CREATE UNIQUE INDEX trials_going_on ON trials (over) WHERE NOT over;
