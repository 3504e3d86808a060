# Stops and disables the agent before its program goes; an upgrade leaves it running.
if [ "$1" -eq 0 ]; then
    systemctl --no-reload disable akwatch-agent.service akwatch-agent.path akwatch-enroll.path || :
    if [ -d /run/systemd/system ]; then
        systemctl stop akwatch-enroll.path akwatch-agent.path akwatch-enroll.service \
            akwatch-agent.service || :
    fi
fi
exit 0
