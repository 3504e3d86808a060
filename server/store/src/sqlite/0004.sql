-- Schema 4. What people decided about a credential, and how often: two who decide at once are told
-- apart by the count.
ALTER TABLE credential ADD COLUMN decided INTEGER NOT NULL DEFAULT 0;  -- decisions so far
ALTER TABLE credential ADD COLUMN decided_by TEXT;
ALTER TABLE credential ADD COLUMN decided_at INTEGER;
ALTER TABLE credential ADD COLUMN decided_until INTEGER;               -- of an accepted risk
ALTER TABLE credential ADD COLUMN note TEXT;
ALTER TABLE timeline ADD COLUMN note TEXT;
CREATE INDEX credential_accepted ON credential (decided_until) WHERE decided_until IS NOT NULL;
