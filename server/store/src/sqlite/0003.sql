-- Schema 3. Which hosts a person or token may see: JSON of labels, of which a host needs one; empty
-- for the fleet (a person) or everything that its person may see (a token).
ALTER TABLE person ADD COLUMN labels TEXT NOT NULL DEFAULT '{}';
ALTER TABLE api_token ADD COLUMN labels TEXT NOT NULL DEFAULT '{}';
