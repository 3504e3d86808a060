# Stops and disables the collector before its program goes; an upgrade leaves it running.
if [ "$1" -eq 0 ]; then
    systemctl --no-reload disable akwatch-server.service || :
    if [ -d /run/systemd/system ]; then
        systemctl stop akwatch-server.service || :
    fi
fi
exit 0
