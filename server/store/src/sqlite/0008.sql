-- Schema 8. What one credential on one host is, or was, in: the last few are found without the others.
CREATE INDEX finding_held ON finding (host_id, credential_id, place_type, state, since)
    WHERE kind <> 'reference';
