# The page's own machine: what it writes outside its directory is gone with it, and the host's files stay as they are.
# $1 is the session's directory.
set -e
mkdir "$1/home" "$1/tmp" "$1/over"
mount --bind "$1" "$1"
mount --bind /run /run # agents share the host's list of uid ranges
mount -t tmpfs none "$1/over"
for folder in etc usr/local; do
  mkdir -p "$1/over/$folder" "$1/over/scratch/$folder"
  mount -t overlay none -o "lowerdir=/$folder,upperdir=$1/over/$folder,workdir=$1/over/scratch/$folder" "/$folder"
done
mount -t tmpfs none /var/lib
mount -o remount,bind,ro /
ip link set lo up
echo laptop > /proc/sys/kernel/hostname
set +e
export HOME="$1/home" TMPDIR="$1/tmp"
cd "$HOME" || exit 90

# RUN, INC and AGENT of the pages: the newest run, the newest incident, the first agent.
newest() { firehall "$@" | sed -n '2s/ .*//p'; }
RUN() { newest runs; }
INC() { newest incident list; }
AGENT() { newest agents; }
