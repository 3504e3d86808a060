-- Schema 7. Whether a certificate was taken over, after a restore, that no row told of: its row says
-- nothing about the order in which its host got its certificates.
ALTER TABLE certificate ADD COLUMN adopted INTEGER NOT NULL DEFAULT 0;
UPDATE certificate SET adopted = 1
    WHERE serial IN (SELECT object FROM audit WHERE action = 'adopt-certificate');
