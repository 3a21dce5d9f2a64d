#!/usr/bin/env bash
# What the action does. Its inputs come by the environment, so that no text of theirs is run as a script of ours.
set -euo pipefail

# eBPF and namespaces take root; the service finds the PATH that earlier steps have set up.
as_root=()
if [ "$(id -u)" != 0 ]; then
    as_root=(sudo --preserve-env env "PATH=$PATH")
fi

# Options are separated by spaces.
read -r -a options <<<"${CHECK_OPTIONS:-}"

# The shell makes way for the service, which is to get its signals itself.
exec "${as_root[@]}" "$(command -v "${CHECK_PROGRAM:-shutdown-probe}")" check \
    --path "${CHECK_PATH:-/}" --pre-stop "${CHECK_PRE_STOP:-0s}" --grace "${CHECK_GRACE:-30s}" \
    --signal "${CHECK_SIGNAL:-SIGTERM}" --junit "${CHECK_JUNIT:-shutdown.xml}" \
    "${options[@]}" -- sh -c "exec $CHECK_COMMAND"
