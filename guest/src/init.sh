#!/bin/busybox sh
# The first process: the host's root, read-only, under a layer of memory, with cgroup version 2 alone.
bb=/bin/busybox
$bb mount -t proc proc /proc
for module in $($bb cat @DIR@/modules); do
    $bb insmod "$module" || echo "guest: no module $module"
done
$bb mount -t tmpfs -o size=75% layer /mnt
$bb mkdir /mnt/up /mnt/work /mnt/root
$bb mount -t overlay -o lowerdir=/,upperdir=/mnt/up,workdir=/mnt/work overlay /mnt/root
cd /mnt/root || $bb poweroff -f
$bb mount -t proc proc proc
$bb mount -t sysfs sys sys
$bb mount -t devtmpfs dev dev
$bb mkdir -p dev/shm dev/pts
$bb mount -t tmpfs shm dev/shm
$bb mount -t devpts pts dev/pts
$bb mount -t tmpfs run run
$bb mount -t cgroup2 cgroup2 sys/fs/cgroup
$bb cp @DIR@/script run/script
# This kernel has no nftables for IPv4.
$bb ln -sf /usr/sbin/iptables-legacy etc/alternatives/iptables
$bb ln -sf /usr/sbin/iptables-legacy-restore etc/alternatives/iptables-restore
$bb mkdir run/host
# A process in a mere chroot may not make a user namespace.
$bb pivot_root . run/host
exec $bb chroot . $bb sh -c '
    busybox umount -l /run/host
    export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
    busybox ip link set lo up
    echo 1 >/proc/sys/net/ipv4/ip_forward
    busybox sh -e /run/script
    echo "guest: $?"
    busybox poweroff -f
'
