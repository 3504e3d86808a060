-- Schema 6. When a certificate was first shown: until then the one before it still renews, since the
-- answer that carried it may have been lost.
ALTER TABLE certificate ADD COLUMN used INTEGER;
-- Older programs let only the last one renew. That is kept for what they issued: it counts as shown.
UPDATE certificate SET used = issued;
