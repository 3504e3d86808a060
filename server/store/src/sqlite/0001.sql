-- Schema 1. Times are milliseconds since 1970 by the collector's clock unless a name says `agent`.
-- Words are stored as the wire writes them, so that a dump reads like an answer.

CREATE TABLE setting (
    name  TEXT PRIMARY KEY,
    value NOT NULL
) WITHOUT ROWID;

CREATE TABLE host (
    id                INTEGER PRIMARY KEY,
    uuid              BLOB NOT NULL UNIQUE,
    name              TEXT NOT NULL,
    instance          BLOB,
    counter           INTEGER NOT NULL DEFAULT 0,
    enrolled          INTEGER NOT NULL,
    heartbeat_seconds INTEGER NOT NULL,
    last_heard        INTEGER,
    silent            INTEGER NOT NULL DEFAULT 0,
    retired           INTEGER NOT NULL DEFAULT 0,
    peer              TEXT,
    facts             TEXT NOT NULL,
    addresses         TEXT NOT NULL,
    os                TEXT NOT NULL,
    agent             TEXT NOT NULL,
    labels            TEXT NOT NULL,
    coverage          TEXT,
    covered           INTEGER NOT NULL DEFAULT 0, -- 2 whole, 1 partly, 0 unknown: the agent's word
    waiting           INTEGER NOT NULL DEFAULT 0,
    rules             TEXT NOT NULL DEFAULT '',
    cost              TEXT NOT NULL DEFAULT '{}',
    unsent            INTEGER NOT NULL DEFAULT 0,
    clock_ahead       INTEGER NOT NULL DEFAULT 0,
    leaving           TEXT,
    upto              INTEGER NOT NULL DEFAULT 0,
    digest_count      INTEGER NOT NULL DEFAULT 0,
    digest_sum        BLOB,                       -- masked; NULL for the empty set
    digest_nonce      BLOB,
    resync            BLOB,                       -- the full list being received
    resync_serial     INTEGER NOT NULL DEFAULT 0,
    score             INTEGER NOT NULL DEFAULT 0,
    credentials       INTEGER NOT NULL DEFAULT 0,
    present           INTEGER NOT NULL DEFAULT 0,
    gone              INTEGER NOT NULL DEFAULT 0,
    unknown           INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX host_score ON host (score, id);
CREATE INDEX host_state ON host (retired, silent, covered, last_heard, waiting);

-- Labels that grant scope.
CREATE TABLE host_label (
    host_id INTEGER NOT NULL REFERENCES host (id) ON DELETE CASCADE,
    key     TEXT NOT NULL,
    value   TEXT NOT NULL,
    PRIMARY KEY (key, value, host_id)
) WITHOUT ROWID;

CREATE TABLE credential (
    id          INTEGER PRIMARY KEY,
    f2          BLOB UNIQUE,                      -- NULL while only references are known
    merged_into INTEGER REFERENCES credential (id),
    provider    TEXT NOT NULL,
    kind        TEXT NOT NULL,
    access_id   TEXT,
    preview     TEXT,
    confidence  INTEGER NOT NULL,
    proof       TEXT NOT NULL,
    disposition TEXT NOT NULL DEFAULT 'new',
    verdict     TEXT NOT NULL DEFAULT 'closed',
    open        INTEGER NOT NULL DEFAULT 0,
    score       INTEGER NOT NULL DEFAULT 0,
    hosts       INTEGER NOT NULL DEFAULT 0,
    present     INTEGER NOT NULL DEFAULT 0,
    gone        INTEGER NOT NULL DEFAULT 0,
    unknown     INTEGER NOT NULL DEFAULT 0,
    ref_hosts   INTEGER NOT NULL DEFAULT 0,
    ref_present INTEGER NOT NULL DEFAULT 0,
    ref_gone    INTEGER NOT NULL DEFAULT 0,
    ref_unknown INTEGER NOT NULL DEFAULT 0,
    apart       INTEGER NOT NULL DEFAULT 0,
    first_seen  INTEGER NOT NULL,
    last_seen   INTEGER NOT NULL
);
CREATE INDEX credential_access_id ON credential (access_id, provider) WHERE access_id IS NOT NULL;
-- The credential list as it opens: without references.
CREATE INDEX credential_score ON credential (score, hosts, id)
    WHERE merged_into IS NULL AND kind <> 'reference';
CREATE INDEX credential_references ON credential (ref_present, ref_gone, ref_unknown)
    WHERE ref_present + ref_gone + ref_unknown > 0;
-- What the overview adds up, without touching the rows.
CREATE INDEX credential_tally
    ON credential (verdict, score, present, gone, unknown) WHERE open = 1;

CREATE TABLE finding (
    id            INTEGER PRIMARY KEY,
    host_id       INTEGER NOT NULL REFERENCES host (id),
    identity      BLOB NOT NULL,                  -- HMAC(P, place and subject)
    credential_id INTEGER NOT NULL REFERENCES credential (id),
    class         INTEGER NOT NULL,               -- 0 deciding, 1 apart, 2 reference
    state         INTEGER NOT NULL,               -- 1 present, 2 gone, 3 unknown: the agent's word
    since         INTEGER NOT NULL,
    why           TEXT NOT NULL DEFAULT '',       -- proof of gone, reason of unknown
    revision      INTEGER NOT NULL,
    element       BLOB,                           -- masked; NULL when not in the host's digest
    listed        INTEGER NOT NULL DEFAULT 0,     -- the full list that named it last
    rule          TEXT NOT NULL,
    provider      TEXT NOT NULL,
    kind          TEXT NOT NULL,
    access_id     TEXT,
    confidence    INTEGER NOT NULL,
    place_type    INTEGER NOT NULL,               -- 1 file, 2 process, 3 history, 0 unknown
    path          TEXT NOT NULL,
    unit          TEXT NOT NULL,
    owner         TEXT NOT NULL,
    body          TEXT NOT NULL,                  -- place, spot, reach, origin, proof, preview
    delivered     INTEGER NOT NULL,
    why_new       TEXT NOT NULL,
    returns       INTEGER NOT NULL,
    agent_first_seen    INTEGER NOT NULL,
    agent_last_verified INTEGER NOT NULL,
    stored        INTEGER NOT NULL,               -- first received
    received      INTEGER NOT NULL,
    expires       INTEGER,
    scored        INTEGER NOT NULL,
    score         INTEGER NOT NULL,
    UNIQUE (host_id, identity)
);
CREATE INDEX finding_of_host ON finding (host_id, credential_id, class, state);
CREATE INDEX finding_of_credential ON finding (credential_id, score);
-- The findings list as it opens: without references.
CREATE INDEX finding_score ON finding (score, id) WHERE kind <> 'reference';
CREATE INDEX finding_expires ON finding (expires) WHERE expires IS NOT NULL;

-- One credential on one host: the agent's word. The credential's own counters are the sum of these,
-- with *present* counted as *unknown* where the host is silent.
CREATE TABLE holding (
    credential_id INTEGER NOT NULL REFERENCES credential (id),
    host_id       INTEGER NOT NULL REFERENCES host (id),
    present       INTEGER NOT NULL,
    gone          INTEGER NOT NULL,
    unknown       INTEGER NOT NULL,
    ref_present   INTEGER NOT NULL,
    ref_gone      INTEGER NOT NULL,
    ref_unknown   INTEGER NOT NULL,
    apart         INTEGER NOT NULL,
    worst         INTEGER NOT NULL,
    first_seen    INTEGER NOT NULL,
    last_seen     INTEGER NOT NULL,
    PRIMARY KEY (host_id, credential_id)
) WITHOUT ROWID;
CREATE INDEX holding_of_credential ON holding (credential_id, worst);

CREATE TABLE timeline (
    id            INTEGER PRIMARY KEY,
    time          INTEGER NOT NULL,
    host_id       INTEGER,
    credential_id INTEGER,
    finding_id    INTEGER,
    what          TEXT NOT NULL,
    why           TEXT,
    person        TEXT
);
CREATE INDEX timeline_of_credential ON timeline (credential_id, id) WHERE credential_id IS NOT NULL;
CREATE INDEX timeline_of_host ON timeline (host_id, id) WHERE host_id IS NOT NULL;

CREATE TABLE day (
    day  INTEGER PRIMARY KEY,                     -- days since 1970, UTC
    new  INTEGER NOT NULL DEFAULT 0,
    gone INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE enrollment_token (
    id          TEXT PRIMARY KEY,
    secret_hash BLOB NOT NULL,
    uses        INTEGER NOT NULL,
    used        INTEGER NOT NULL DEFAULT 0,
    until       INTEGER NOT NULL,
    labels      TEXT NOT NULL,
    note        TEXT,
    created_by  TEXT NOT NULL,
    created     INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE certificate (
    serial  TEXT PRIMARY KEY,
    host_id INTEGER NOT NULL REFERENCES host (id),
    issued  INTEGER NOT NULL,
    until   INTEGER NOT NULL,
    revoked INTEGER
);
CREATE INDEX certificate_of_host ON certificate (host_id, issued);
CREATE INDEX certificate_revoked ON certificate (until) WHERE revoked IS NOT NULL;

CREATE TABLE person (
    name     TEXT PRIMARY KEY,
    role     TEXT NOT NULL,
    password TEXT NOT NULL,
    created  INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE session (
    hash      BLOB PRIMARY KEY,
    person    TEXT NOT NULL REFERENCES person (name) ON DELETE CASCADE,
    started   INTEGER NOT NULL,
    last_used INTEGER NOT NULL,
    until     INTEGER NOT NULL,
    idle_ms   INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX session_of_person ON session (person);

CREATE TABLE api_token (
    id        TEXT PRIMARY KEY,
    hash      BLOB NOT NULL UNIQUE,
    name      TEXT NOT NULL,
    role      TEXT NOT NULL,
    person    TEXT NOT NULL REFERENCES person (name) ON DELETE CASCADE,
    created   INTEGER NOT NULL,
    until     INTEGER NOT NULL,
    last_used INTEGER
) WITHOUT ROWID;
CREATE INDEX api_token_of_person ON api_token (person);

CREATE TABLE first_sign_in (
    one   INTEGER PRIMARY KEY CHECK (one = 1),
    hash  BLOB NOT NULL,
    until INTEGER NOT NULL
);

CREATE TABLE directive (
    serial  INTEGER PRIMARY KEY AUTOINCREMENT,    -- never given twice
    host_id INTEGER NOT NULL REFERENCES host (id),
    until   INTEGER NOT NULL,
    signed  TEXT NOT NULL,
    queued  INTEGER NOT NULL,
    outcome TEXT,
    detail  TEXT,
    ended   INTEGER
);
CREATE INDEX directive_pending ON directive (host_id, serial) WHERE outcome IS NULL;

CREATE TABLE audit (
    number   INTEGER PRIMARY KEY,
    time     INTEGER NOT NULL,
    actor    TEXT NOT NULL,
    origin   TEXT,
    action   TEXT NOT NULL,
    object   TEXT NOT NULL,
    result   TEXT NOT NULL,
    previous BLOB NOT NULL,
    hash     BLOB NOT NULL
);
