# After an upgrade every role of a running agent becomes the new version. Removed, the agent leaves
# identity and ledger in /var/lib/akwatch-agent.
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload || :
    if [ "$1" -ge 1 ]; then
        systemctl try-restart akwatch-agent.service || :
    fi
fi
exit 0
