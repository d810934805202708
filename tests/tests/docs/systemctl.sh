#!/bin/bash
# Stands in for systemctl in the documents' lines: `enable --now UNIT` starts the unit's own command with its environment,
# as its user, in its state directory, with its capabilities. The other walls that systemd puts around it are not there.
set -e
case "$*" in
  daemon-reload) ;;
  'enable --now '*)
    unit=/etc/systemd/system/$3.service
    said() { sed -n "s/^$1=//p" "$unit"; }
    user=$(said User) state=/var/lib/$(said StateDirectory)
    install -d -m "$(said StateDirectoryMode)" -o "${user:-root}" "$state"
    set -a
    . "$(said EnvironmentFile)"
    set +a
    command=$(said ExecStart | sed "s/%H/$(uname -n)/g")
    umask "$(said UMask)"
    # `~CAP_A CAP_B` takes those away, an empty list takes all; setpriv knows them as -a,-b.
    set --
    [ "$(said NoNewPrivileges)" != yes ] || set -- --no-new-privs
    if grep -q '^CapabilityBoundingSet=' "$unit"; then
      bounds=$(said CapabilityBoundingSet)
      case "$bounds" in
        '~'*) set -- "$@" --bounding-set "$(echo "${bounds#\~}" | sed 's/CAP_/-/g; s/ /,/g' | tr '[:upper:]' '[:lower:]')" ;;
        '') set -- "$@" --bounding-set=-all ;;
      esac
    fi
    # shellcheck disable=SC2086
    setsid setpriv --reuid "${user:-root}" --regid "${user:-root}" --init-groups "$@" $command > "$TMPDIR/$3.log" 2>&1 < /dev/null & ;;
  *)
    echo "not known to the test of the documents: systemctl $*" >&2
    exit 1 ;;
esac
