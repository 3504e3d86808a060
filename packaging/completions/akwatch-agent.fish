# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_akwatch_agent_global_optspecs
    string join \n h/help V/version
end

function __fish_akwatch_agent_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_akwatch_agent_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_akwatch_agent_using_subcommand
    set -l cmd (__fish_akwatch_agent_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c akwatch-agent -n "__fish_akwatch_agent_needs_command" -s h -l help -d 'Print help'
complete -c akwatch-agent -n "__fish_akwatch_agent_needs_command" -s V -l version -d 'Print version'
complete -c akwatch-agent -n "__fish_akwatch_agent_needs_command" -f -a "scan" -d 'Scan by hand: the same engine in one process, without network or privileges. Exit 0 clean, 1 findings, 2 trouble'
complete -c akwatch-agent -n "__fish_akwatch_agent_needs_command" -f -a "run" -d 'Run the agent: the watcher, which starts the other roles unless systemd has'
complete -c akwatch-agent -n "__fish_akwatch_agent_needs_command" -f -a "role" -d 'Run one role; started by `run` and by the systemd units'
complete -c akwatch-agent -n "__fish_akwatch_agent_needs_command" -f -a "enroll" -d 'Enroll this host with a collector, once; the bootstrap string is read from standard input or a file, never from arguments'
complete -c akwatch-agent -n "__fish_akwatch_agent_needs_command" -f -a "retire" -d 'Retire this host: the collector closes it, with its findings not verified, and its identity is removed from this machine. Needs the running agent and its collector'
complete -c akwatch-agent -n "__fish_akwatch_agent_needs_command" -f -a "image-prepare" -d 'Remove this host\'s identity and all that the agent knows, before an image is made of this machine: each host that starts from the image then enrolls as itself'
complete -c akwatch-agent -n "__fish_akwatch_agent_needs_command" -f -a "status" -d 'What the running agent watches, holds and has yet to report'
complete -c akwatch-agent -n "__fish_akwatch_agent_needs_command" -f -a "pause" -d 'Have the running agent read nothing for a while: heartbeats go on, what it watches is shown as paused and unknown, and it ends by itself'
complete -c akwatch-agent -n "__fish_akwatch_agent_needs_command" -f -a "resume" -d 'End the pause that was asked for on this host; one that the collector asked for goes on'
complete -c akwatch-agent -n "__fish_akwatch_agent_needs_command" -f -a "doctor" -d 'Check what keeps the agent from working, from seeing everything or from telling its collector, and say what to do. Exit 0 when nothing is wrong, 1 when something is'
complete -c akwatch-agent -n "__fish_akwatch_agent_needs_command" -f -a "preflight" -d 'Before an agent is installed: what this host gives it, what the first scan would read and how long that takes, and which neighbours will notice. Exit 0 when an agent can work here, 1 when it cannot'
complete -c akwatch-agent -n "__fish_akwatch_agent_needs_command" -f -a "explain" -d 'Say how the agent sees a file or a process: whether it is watched and why, whether it was read, what was found there, and where a process has it from. Exit 0 when nothing is present there, 1 when something is, 2 when no agent could be asked'
complete -c akwatch-agent -n "__fish_akwatch_agent_needs_command" -f -a "config" -d 'Check, show and describe the configuration'
complete -c akwatch-agent -n "__fish_akwatch_agent_needs_command" -f -a "rules" -d 'Show what is looked for; work with rule files'
complete -c akwatch-agent -n "__fish_akwatch_agent_needs_command" -f -a "metrics" -d 'Write how the running agent stands in Prometheus\' text format. Exit 0 when it answered, else 2 with `akwatch_up 0`'
complete -c akwatch-agent -n "__fish_akwatch_agent_needs_command" -f -a "completions" -d 'Write a completion script for a shell'
complete -c akwatch-agent -n "__fish_akwatch_agent_needs_command" -f -a "man" -d 'Write the manual page, or all pages into a directory'
complete -c akwatch-agent -n "__fish_akwatch_agent_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand scan" -l root -d 'Treat DIR as another host\'s root: a mounted disk, a container\'s root' -r -F
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand scan" -l format -d 'How findings are written' -r -f -a "text\t'For people'
json\t'One JSON array'
jsonl\t'One JSON object a line, as soon as it is found'
sarif\t'SARIF 2.1.0, without snippets'"
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand scan" -l min-confidence -d 'Leave out findings below this confidence' -r -f -a "unknown\t'Everything: vendors\' samples, hashes and failed proofs, too'
contextual\t'A value beside a name that says what it is, and better'
strong\t'A value whose own format says what it is, and better'
paired\t'Id and secret found together, and better'
proven\t'Only what was verified offline'"
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand scan" -l reveal -d 'Write the secrets themselves, too. Whoever sees the output then holds them'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand scan" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand run" -l config -d 'Configuration file; `agent.d/*.toml` beside it is read after it' -r -F
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand run" -l state -d 'Directory of identity and ledger' -r -F
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand run" -l runtime -d 'Directory of sockets' -r -F
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand run" -s h -l help -d 'Print help'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand role" -l config -d 'Configuration file; `agent.d/*.toml` beside it is read after it' -r -F
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand role" -l state -d 'Directory of identity and ledger' -r -F
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand role" -l runtime -d 'Directory of sockets' -r -F
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand role" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand enroll" -l config -d 'Configuration file; `agent.d/*.toml` beside it is read after it' -r -F
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand enroll" -l state -d 'Directory of identity and ledger' -r -F
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand enroll" -l runtime -d 'Directory of sockets' -r -F
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand enroll" -l bootstrap-file -d 'A 0600 file that holds the bootstrap string and is deleted after use; default: standard input' -r -F
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand enroll" -l directory -d 'Try each `*.bootstrap` file of this directory, without anybody at hand. Exit 3 when none can ever serve' -r -F
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand enroll" -s h -l help -d 'Print help'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand retire" -l config -d 'Configuration file; `agent.d/*.toml` beside it is read after it' -r -F
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand retire" -l state -d 'Directory of identity and ledger' -r -F
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand retire" -l runtime -d 'Directory of sockets' -r -F
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand retire" -s h -l help -d 'Print help'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand image-prepare" -l config -d 'Configuration file; `agent.d/*.toml` beside it is read after it' -r -F
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand image-prepare" -l state -d 'Directory of identity and ledger' -r -F
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand image-prepare" -l runtime -d 'Directory of sockets' -r -F
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand image-prepare" -s h -l help -d 'Print help'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand status" -l config -d 'Configuration file; `agent.d/*.toml` beside it is read after it' -r -F
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand status" -l state -d 'Directory of identity and ledger' -r -F
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand status" -l runtime -d 'Directory of sockets' -r -F
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand status" -l json -d 'Write JSON'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand status" -s h -l help -d 'Print help'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand pause" -l config -d 'Configuration file; `agent.d/*.toml` beside it is read after it' -r -F
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand pause" -l state -d 'Directory of identity and ledger' -r -F
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand pause" -l runtime -d 'Directory of sockets' -r -F
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand pause" -l for -d 'For how long: a number and s, m or h; a day at most' -r
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand pause" -s h -l help -d 'Print help'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand resume" -l config -d 'Configuration file; `agent.d/*.toml` beside it is read after it' -r -F
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand resume" -l state -d 'Directory of identity and ledger' -r -F
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand resume" -l runtime -d 'Directory of sockets' -r -F
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand resume" -s h -l help -d 'Print help'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand doctor" -l config -d 'Configuration file; `agent.d/*.toml` beside it is read after it' -r -F
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand doctor" -l state -d 'Directory of identity and ledger' -r -F
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand doctor" -l runtime -d 'Directory of sockets' -r -F
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand doctor" -l network -d 'Also walk the way to each collector: name, TCP, proxy, TLS issuer, certificate, clock'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand doctor" -l json -d 'Write JSON'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand doctor" -s h -l help -d 'Print help'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand preflight" -l config -d 'The configuration that the agent is to have; what is built in where there is none' -r -F
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand preflight" -l json -d 'Write JSON'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand preflight" -s h -l help -d 'Print help'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand explain" -l config -d 'Configuration file; `agent.d/*.toml` beside it is read after it' -r -F
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand explain" -l state -d 'Directory of identity and ledger' -r -F
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand explain" -l runtime -d 'Directory of sockets' -r -F
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand explain" -l json -d 'Write JSON'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand explain" -s h -l help -d 'Print help'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand config; and not __fish_seen_subcommand_from check show reference help" -s h -l help -d 'Print help'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand config; and not __fish_seen_subcommand_from check show reference help" -f -a "check" -d 'Read it as the agent would. Exit 0 when it is right, 1 when it is not: with file, line, key and what is allowed'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand config; and not __fish_seen_subcommand_from check show reference help" -f -a "show" -d 'Write what is in force, and which file says so'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand config; and not __fish_seen_subcommand_from check show reference help" -f -a "reference" -d 'Write what there is to set, what it does and what holds without it'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand config; and not __fish_seen_subcommand_from check show reference help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand config; and __fish_seen_subcommand_from check" -l config -d 'Configuration file; `agent.d/*.toml` beside it is read after it' -r -F
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand config; and __fish_seen_subcommand_from check" -l json -d 'Write JSON'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand config; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand config; and __fish_seen_subcommand_from show" -l config -d 'Configuration file; `agent.d/*.toml` beside it is read after it' -r -F
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand config; and __fish_seen_subcommand_from show" -l json -d 'Write JSON'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand config; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand config; and __fish_seen_subcommand_from reference" -l toml -d 'Write a configuration file with every key commented out'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand config; and __fish_seen_subcommand_from reference" -s h -l help -d 'Print help'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "check" -d 'Read it as the agent would. Exit 0 when it is right, 1 when it is not: with file, line, key and what is allowed'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "show" -d 'Write what is in force, and which file says so'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "reference" -d 'Write what there is to set, what it does and what holds without it'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand rules; and not __fish_seen_subcommand_from list show check help" -s h -l help -d 'Print help'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand rules; and not __fish_seen_subcommand_from list show check help" -f -a "list" -d 'Write the rules that come with this program'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand rules; and not __fish_seen_subcommand_from list show check help" -f -a "show" -d 'Write one of them: what it finds, where its form is known from, what to do'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand rules; and not __fish_seen_subcommand_from list show check help" -f -a "check" -d 'Compile a rule file and run the examples in it. Exit 0 when all is as they say, 1 when a rule was set aside or an example fails, 2 trouble'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand rules; and not __fish_seen_subcommand_from list show check help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand rules; and __fish_seen_subcommand_from list" -l json -d 'Write JSON'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand rules; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand rules; and __fish_seen_subcommand_from show" -l json -d 'Write JSON'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand rules; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand rules; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand rules; and __fish_seen_subcommand_from help" -f -a "list" -d 'Write the rules that come with this program'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand rules; and __fish_seen_subcommand_from help" -f -a "show" -d 'Write one of them: what it finds, where its form is known from, what to do'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand rules; and __fish_seen_subcommand_from help" -f -a "check" -d 'Compile a rule file and run the examples in it. Exit 0 when all is as they say, 1 when a rule was set aside or an example fails, 2 trouble'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand rules; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand metrics" -l runtime -d 'Directory of sockets' -r -F
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand metrics" -s h -l help -d 'Print help'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand completions" -s h -l help -d 'Print help'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand man" -l directory -d 'Write a file for each verb here' -r -F
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand man" -s h -l help -d 'Print help'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand help; and not __fish_seen_subcommand_from scan run role enroll retire image-prepare status pause resume doctor preflight explain config rules metrics completions man help" -f -a "scan" -d 'Scan by hand: the same engine in one process, without network or privileges. Exit 0 clean, 1 findings, 2 trouble'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand help; and not __fish_seen_subcommand_from scan run role enroll retire image-prepare status pause resume doctor preflight explain config rules metrics completions man help" -f -a "run" -d 'Run the agent: the watcher, which starts the other roles unless systemd has'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand help; and not __fish_seen_subcommand_from scan run role enroll retire image-prepare status pause resume doctor preflight explain config rules metrics completions man help" -f -a "role" -d 'Run one role; started by `run` and by the systemd units'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand help; and not __fish_seen_subcommand_from scan run role enroll retire image-prepare status pause resume doctor preflight explain config rules metrics completions man help" -f -a "enroll" -d 'Enroll this host with a collector, once; the bootstrap string is read from standard input or a file, never from arguments'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand help; and not __fish_seen_subcommand_from scan run role enroll retire image-prepare status pause resume doctor preflight explain config rules metrics completions man help" -f -a "retire" -d 'Retire this host: the collector closes it, with its findings not verified, and its identity is removed from this machine. Needs the running agent and its collector'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand help; and not __fish_seen_subcommand_from scan run role enroll retire image-prepare status pause resume doctor preflight explain config rules metrics completions man help" -f -a "image-prepare" -d 'Remove this host\'s identity and all that the agent knows, before an image is made of this machine: each host that starts from the image then enrolls as itself'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand help; and not __fish_seen_subcommand_from scan run role enroll retire image-prepare status pause resume doctor preflight explain config rules metrics completions man help" -f -a "status" -d 'What the running agent watches, holds and has yet to report'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand help; and not __fish_seen_subcommand_from scan run role enroll retire image-prepare status pause resume doctor preflight explain config rules metrics completions man help" -f -a "pause" -d 'Have the running agent read nothing for a while: heartbeats go on, what it watches is shown as paused and unknown, and it ends by itself'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand help; and not __fish_seen_subcommand_from scan run role enroll retire image-prepare status pause resume doctor preflight explain config rules metrics completions man help" -f -a "resume" -d 'End the pause that was asked for on this host; one that the collector asked for goes on'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand help; and not __fish_seen_subcommand_from scan run role enroll retire image-prepare status pause resume doctor preflight explain config rules metrics completions man help" -f -a "doctor" -d 'Check what keeps the agent from working, from seeing everything or from telling its collector, and say what to do. Exit 0 when nothing is wrong, 1 when something is'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand help; and not __fish_seen_subcommand_from scan run role enroll retire image-prepare status pause resume doctor preflight explain config rules metrics completions man help" -f -a "preflight" -d 'Before an agent is installed: what this host gives it, what the first scan would read and how long that takes, and which neighbours will notice. Exit 0 when an agent can work here, 1 when it cannot'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand help; and not __fish_seen_subcommand_from scan run role enroll retire image-prepare status pause resume doctor preflight explain config rules metrics completions man help" -f -a "explain" -d 'Say how the agent sees a file or a process: whether it is watched and why, whether it was read, what was found there, and where a process has it from. Exit 0 when nothing is present there, 1 when something is, 2 when no agent could be asked'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand help; and not __fish_seen_subcommand_from scan run role enroll retire image-prepare status pause resume doctor preflight explain config rules metrics completions man help" -f -a "config" -d 'Check, show and describe the configuration'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand help; and not __fish_seen_subcommand_from scan run role enroll retire image-prepare status pause resume doctor preflight explain config rules metrics completions man help" -f -a "rules" -d 'Show what is looked for; work with rule files'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand help; and not __fish_seen_subcommand_from scan run role enroll retire image-prepare status pause resume doctor preflight explain config rules metrics completions man help" -f -a "metrics" -d 'Write how the running agent stands in Prometheus\' text format. Exit 0 when it answered, else 2 with `akwatch_up 0`'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand help; and not __fish_seen_subcommand_from scan run role enroll retire image-prepare status pause resume doctor preflight explain config rules metrics completions man help" -f -a "completions" -d 'Write a completion script for a shell'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand help; and not __fish_seen_subcommand_from scan run role enroll retire image-prepare status pause resume doctor preflight explain config rules metrics completions man help" -f -a "man" -d 'Write the manual page, or all pages into a directory'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand help; and not __fish_seen_subcommand_from scan run role enroll retire image-prepare status pause resume doctor preflight explain config rules metrics completions man help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand help; and __fish_seen_subcommand_from config" -f -a "check" -d 'Read it as the agent would. Exit 0 when it is right, 1 when it is not: with file, line, key and what is allowed'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand help; and __fish_seen_subcommand_from config" -f -a "show" -d 'Write what is in force, and which file says so'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand help; and __fish_seen_subcommand_from config" -f -a "reference" -d 'Write what there is to set, what it does and what holds without it'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand help; and __fish_seen_subcommand_from rules" -f -a "list" -d 'Write the rules that come with this program'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand help; and __fish_seen_subcommand_from rules" -f -a "show" -d 'Write one of them: what it finds, where its form is known from, what to do'
complete -c akwatch-agent -n "__fish_akwatch_agent_using_subcommand help; and __fish_seen_subcommand_from rules" -f -a "check" -d 'Compile a rule file and run the examples in it. Exit 0 when all is as they say, 1 when a rule was set aside or an example fails, 2 trouble'
