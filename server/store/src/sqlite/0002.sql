-- Schema 2. What a host that enrolled was answered, so that one whose answer was lost gets it again.
-- Certificates are no secrets. A row ends with its token.
CREATE TABLE enrollment_answer (
    token       TEXT NOT NULL REFERENCES enrollment_token (id) ON DELETE CASCADE,
    key         BLOB NOT NULL,                    -- SHA-256 of the host's public key
    host_id     INTEGER NOT NULL REFERENCES host (id) ON DELETE CASCADE,
    certificate TEXT NOT NULL,                    -- PEM
    PRIMARY KEY (token, key)
) WITHOUT ROWID;
