-- Schema 5. What Git says of a finding: 1 pushed, 2 not pushed, 3 unknown, NULL in no repository. What
-- else it says is in the body.
ALTER TABLE finding ADD COLUMN pushed INTEGER;
