# Makes the roles' users and directories; enables the units by their preset at the first installation.
systemd-sysusers akwatch-agent.conf
systemd-tmpfiles --create akwatch-agent.conf
if [ "$1" -eq 1 ]; then
    systemctl --no-reload preset akwatch-agent.service akwatch-agent.path akwatch-enroll.path || :
fi
# Without a running systemd, as where an image is built, the next boot starts them.
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload || :
    if [ "$1" -eq 1 ]; then
        systemctl start akwatch-agent.path akwatch-enroll.path akwatch-agent.service || :
    fi
fi
if [ "$1" -eq 1 ] && [ ! -e /var/lib/akwatch-agent/identity/host.json ]; then
    echo "akwatch-agent is installed and waits to be enrolled: akwatch-agent status says how."
fi
exit 0
