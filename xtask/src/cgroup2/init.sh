#!/bin/busybox sh
# The first process of the guest: the host's root, read-only, under a layer of memory, with cgroup version 2 alone.
bb=/bin/busybox
$bb mkdir -p /proc /sys /dev /host /layer /new
$bb mount -t proc proc /proc
$bb mount -t sysfs sys /sys
$bb mount -t devtmpfs dev /dev
for module in virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci netfs fscache 9pnet 9pnet_virtio 9p overlay; do
    $bb insmod /modules/$module.ko || echo "no module $module"
done
$bb mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=524288 root /host &&
    $bb mount -t tmpfs -o size=75% tmpfs /layer && $bb mkdir /layer/up /layer/work &&
    $bb mount -t overlay -o lowerdir=/host,upperdir=/layer/up,workdir=/layer/work overlay /new &&
    $bb mount -t proc proc /new/proc && $bb mount -t sysfs sys /new/sys && $bb mount -t devtmpfs dev /new/dev &&
    $bb mkdir -p /new/dev/shm && $bb mount -t tmpfs shm /new/dev/shm &&
    $bb mount -t tmpfs run /new/run
$bb mount -t cgroup2 cgroup2 /new/sys/fs/cgroup
$bb cp /guest.sh /new/run/guest.sh
exec $bb switch_root /new /bin/sh /run/guest.sh
