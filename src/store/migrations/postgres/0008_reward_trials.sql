-- Rewards are tried like generators. What was tried before was a generator.
ALTER TABLE trials ADD COLUMN kind TEXT NOT NULL DEFAULT 'generator' CHECK (kind IN ('generator', 'reward'));

-- The reward that chose a picture among more than were shown; null where nothing was left out, or chance chose.
ALTER TABLE images ADD COLUMN chosen_by TEXT;
ALTER TABLE feedback_images ADD COLUMN chosen_by TEXT;
