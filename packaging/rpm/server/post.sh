# Makes the collector's user; at the first installation enables the unit by its preset and starts it.
systemd-sysusers akwatch-server.conf
if [ "$1" -eq 1 ]; then
    systemctl --no-reload preset akwatch-server.service || :
fi
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload || :
    if [ "$1" -eq 1 ]; then
        systemctl start akwatch-server.service || :
    fi
fi
exit 0
