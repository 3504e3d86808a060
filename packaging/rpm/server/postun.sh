# After an upgrade a running collector becomes the new version. Removed, it leaves its database and keys.
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload || :
    if [ "$1" -ge 1 ]; then
        systemctl try-restart akwatch-server.service || :
    fi
fi
exit 0
