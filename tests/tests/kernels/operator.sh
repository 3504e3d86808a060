#!/bin/bash
# Plays the operator on a machine of its own, before and after a real reboot: what it says on the second
# serial line is what the test reads.
exec >/dev/ttyS1 2>&1
set -u

# Tries a command until it succeeds; under emulation everything takes its time.
until_ok() {
    for _ in $(seq 240); do
        "$@" >/dev/null 2>&1 && return 0
        sleep 1
    done
    echo "in vain: $*"
    return 1
}
server() { setpriv --reuid akwatch-server --regid akwatch-server --clear-groups akwatch-server "$@"; }
operator() {
    # The way to the collector, which outlives the reboot.
    AKWATCH_URL=https://127.0.0.1:8443 AKWATCH_CA=/var/lib/akwatch-server/ca.pem \
        akwatch --token-file /root/token "$@"
}
holds() { operator findings --id "$1" --output json | grep -q "\"state\": *\"$2\""; }
plant() {
    mkdir -p "$(dirname "$3")"
    printf 'TENCENTCLOUD_SECRET_ID=%s\nTENCENTCLOUD_SECRET_KEY=%s\n' "$1" "$2" > "$3"
}
stands() { akwatch-agent status | grep -q 'watcher up' && ! akwatch-agent status | grep -q DOWN; }
mechanism() { akwatch-agent status | grep -q "^files.*$1"; }
roles_run() {
    for role in agent marker detector reporter; do
        until_ok systemctl is-active "akwatch-$role.service" || return 1
    done
    until_ok stands
}
restarts() {
    for role in agent marker detector reporter; do
        systemctl show -p NRestarts --value "akwatch-$role.service"
    done | tr '\n' ' '
}

if [ -e /root/token ]; then
    roles_run && echo "rebooted: roles run"
    plant @ID4@ @SECRET4@ /srv/app/rebooted.env
    until_ok holds @ID4@ present && echo "rebooted: found"
    until_ok holds @ID@ present && echo "rebooted: nothing forgotten"
    journalctl --no-pager -q -p err -u 'akwatch-*' | tail -n 20
    echo "done"
    systemctl poweroff
    exit
fi

echo "kernel: $(uname -r)"
systemd-sysusers
systemd-tmpfiles --create
systemctl enable --now akwatch-server.service
until_ok test -S /var/lib/akwatch-server/control.sock
bootstrap=$(server enrollment-token create | grep -o 'akwatch1:[^ ]*')
umask 077
server api-token create --name operator --role admin | grep -o 'akw_[A-Za-z0-9]*' > /root/token
umask 022
echo "$bootstrap" | akwatch-agent enroll && echo "enrolled"
systemctl enable --now akwatch-agent.service
roles_run && echo "roles run"
until_ok mechanism notify
plant @ID@ @SECRET@ /srv/app/.env
until_ok holds @ID@ present && echo "found: in a file"
CLOUD_SECRET_ID=@ID2@ CLOUD_SECRET_KEY=@SECRET2@ setsid sleep 1000 &
until_ok holds @ID2@ present && echo "found: in a process"
echo "status: $(akwatch-agent status --json | tr -d '\n')"

# Limits: what the kernel was told, then what it does about it.
slice=/sys/fs/cgroup/akwatch.slice/akwatch-agent.slice
for file in memory.high memory.max memory.swap.max cpu.max cpu.weight io.weight pids.max; do
    echo "limit $file: $(cat $slice/$file)"
done
before=$(restarts)
count() { sed -n "s/^$2 //p" "$slice/$1"; }
more() { [ "$(count "$1" "$2")" -gt "$3" ]; }

throttled=$(count cpu.stat nr_throttled)
systemd-run --quiet --unit=busy --slice=akwatch-agent.slice sh -c 'while :; do :; done & while :; do :; done'
until_ok more cpu.stat nr_throttled "$throttled" && echo "enforced: processor"
systemctl stop busy.service

high=$(count memory.events high)
systemd-run --quiet --unit=greedy --slice=akwatch-agent.slice python3 -c 'x = bytearray(200 << 20)'
until_ok more memory.events high "$high" && echo "enforced: memory, slowed down"
systemctl stop greedy.service
# Slowing down takes a program minutes from one limit to the other.
systemctl set-property --runtime akwatch-agent.slice MemoryHigh=infinity
killed=$(count memory.events oom_kill)
systemd-run --quiet --wait --collect --slice=akwatch-agent.slice python3 -c 'x = bytearray(200 << 20)'
until_ok more memory.events oom_kill "$killed" && echo "enforced: memory, ended"
systemctl set-property --runtime akwatch-agent.slice MemoryHigh=64M
roles_run && [ "$(restarts)" = "$before" ] && echo "limits: no role was ended"

# The next rung, where nobody places marks.
systemctl mask --runtime --now akwatch-marker.service
systemctl restart akwatch-agent.service
until_ok mechanism inotify && echo "rung: inotify"
plant @ID3@ @SECRET3@ /srv/app/inotify.env
until_ok holds @ID3@ present && echo "found: by inotify"
systemctl unmask --runtime akwatch-marker.service
sync
systemctl reboot
