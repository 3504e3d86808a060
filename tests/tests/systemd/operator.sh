#!/bin/bash
# Plays the operator inside the container: what it says is what the test reads.
exec 2>&1
set -u

# Tries a command every tenth of a second, for a minute at most.
until_ok() {
    for _ in $(seq 600); do
        "$@" >/dev/null 2>&1 && return 0
        sleep 0.1
    done
    echo "in vain: $*"
    return 1
}

systemd-sysusers
systemd-tmpfiles --create
systemctl daemon-reload
systemctl start akwatch-server.service
echo "collector: $(systemctl is-active akwatch-server.service)"

server() { setpriv --reuid akwatch-server --regid akwatch-server --clear-groups akwatch-server "$@"; }
# The unit counts as started before the collector answers.
until_ok test -S /var/lib/akwatch-server/control.sock
bootstrap=$(server enrollment-token create | grep -o 'akwatch1:[^ ]*')
token=$(server api-token create --name operator --role admin | grep -o 'akw_[A-Za-z0-9]*')
export AKWATCH_URL=https://127.0.0.1:8443 AKWATCH_CA=/var/lib/akwatch-server/ca.pem AKWATCH_TOKEN=$token
echo "$bootstrap" | akwatch-agent enroll && echo "enrolled"
systemctl start akwatch-agent.service
# Asked one by one: of several units is-active is content with a single one.
for role in agent marker detector reporter; do
    until_ok systemctl is-active "akwatch-$role.service"
done
echo "watcher: $(systemctl is-active akwatch-agent.service)"
echo "marker: $(systemctl is-active akwatch-marker.service)"
echo "detector: $(systemctl is-active akwatch-detector.service)"
echo "reporter: $(systemctl is-active akwatch-reporter.service)"

holds() { akwatch findings --id @ID@ --output json | grep -q "\"state\": *\"$1\""; }
mkdir -p /srv/app
printf 'TENCENTCLOUD_SECRET_ID=%s\nTENCENTCLOUD_SECRET_KEY=%s\n' @ID@ @SECRET@ > /srv/app/.env
until_ok holds present && echo "found: present"
: > /srv/app/.env
until_ok holds gone && echo "removed: gone"

# Killed, a unit is still active until systemd has noticed: so the count is asked, too.
again() {
    [ "$(systemctl show -p NRestarts --value akwatch-detector.service)" -ge 1 ] &&
        systemctl is-active akwatch-detector.service
}
systemctl kill -s KILL akwatch-detector.service
until_ok again
echo "restarted: $(systemctl is-active akwatch-detector.service)"
systemctl show -p NRestarts akwatch-detector.service
akwatch-agent status | grep -E '^(roles|files|processes|walls)'

# As the service manager, a monitoring user and a doctor see it.
told() { systemctl show -p StatusText --value akwatch-agent.service | grep -q present; }
until_ok told && echo "told: how it stands"
echo "watchdog: $(systemctl show -p WatchdogUSec --value akwatch-agent.service)"
setpriv --reuid nobody --regid nogroup --groups akwatch-agent akwatch-agent status >/dev/null && echo "member: may ask"
setpriv --reuid nobody --regid nogroup --clear-groups akwatch-agent status 2>/dev/null || echo "stranger: may not ask"
well() { akwatch-agent doctor --network; }
until_ok well && echo "doctor: nothing wrong" || akwatch-agent doctor --network

# A wrong configuration is refused, a right one is taken over.
before=$(systemctl show -p MainPID --value akwatch-agent.service)
echo 'nonsense = 1' > /etc/akwatch/agent.d/10.toml
systemctl reload akwatch-agent.service 2>/dev/null || echo "wrong: refused"
echo "after it: $(systemctl is-active akwatch-agent.service)"
rm /etc/akwatch/agent.d/10.toml
systemctl reload akwatch-agent.service
anew() {
    [ "$(systemctl show -p MainPID --value akwatch-agent.service)" != "$before" ] &&
        systemctl is-active akwatch-agent.service &&
        akwatch-agent status | grep -q 'detector up, reporter up'
}
until_ok anew && echo "right: taken over"
journalctl --no-pager -q -u 'akwatch-*' | tail -n 60
systemctl stop akwatch-agent.service akwatch-server.service
echo "done"
