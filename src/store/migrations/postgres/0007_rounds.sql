-- Rounds of learning: what each began with, how far it came, how it ended. At most one goes on.
CREATE TABLE rounds (
    sequence BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stage TEXT NOT NULL CHECK (stage IN ('export', 'reward', 'reward_gate', 'reward_release', 'tune', 'generator_gate', 'publish', 'release')),
    over BOOLEAN NOT NULL,
    outcome TEXT CHECK (outcome IN ('released', 'refused', 'failed', 'abandoned')),
    reason TEXT NOT NULL,       -- of the last change
    generator TEXT NOT NULL,    -- the champion that it began with
    reward TEXT,
    base TEXT NOT NULL,         -- where that champion's line begins
    after BIGINT NOT NULL,     -- votes behind this place of the event log are new to it
    upto BIGINT NOT NULL,
    holder TEXT NOT NULL,       -- who wrote last
    started BIGINT NOT NULL,
    changed BIGINT NOT NULL,
    facts TEXT NOT NULL         -- JSON: what its steps left behind
);
CREATE UNIQUE INDEX rounds_going_on ON rounds (over) WHERE NOT over;

-- Who may act in rounds: one row. A generation is one holder's; what an earlier one still writes is refused.
CREATE TABLE training_lease (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    holder TEXT NOT NULL,
    generation BIGINT NOT NULL,
    expires BIGINT NOT NULL
);
