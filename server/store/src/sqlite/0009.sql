-- Schema 9. What a host was last asked to do is found without all others' directives.
DROP INDEX directive_pending;
CREATE INDEX directive_host ON directive (host_id, serial);
