//! A step's own network: made between the container's creation and its start, from outside.

use std::fs::File;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::Path;

use nix::sched::{CloneFlags, setns};
use nix::unistd::Pid;

use super::resolver::Resolver;
use super::setup::Shim;
use crate::attempt_dir::{AttemptDir, start_time, write_durably};
use crate::egress::{Line, run};
use crate::slot::Slot;
use crate::sys;

/// Gives the step that waits its interfaces, addresses and route, and a name server's door inside.
pub(super) fn draw(slot: &Slot, step: Pid, upstream: &[SocketAddr]) -> io::Result<Option<Resolver>> {
    let Line {
        interface,
        host,
        step: inside,
    } = Line::of(slot.number());
    // Of a step before in the same slot, whose namespace the kernel has not cleared yet.
    let _none = run("ip", &["link", "delete", &interface], "");
    let pair = format!("link add {interface} type veth peer name eth0 netns {step}\n");
    run("ip", &["-batch", "-"], &pair)?;
    // Before it is up it has no address at all: the host answers on none of IPv6.
    quiet_ipv6(&interface)?;
    let up = format!("address add {host}/30 dev {interface}\nlink set {interface} up\n");
    run("ip", &["-batch", "-"], &up)?;
    inside_of(step, || {
        quiet_ipv6("all")?;
        let lines = format!(
            "link set lo up\naddress add {inside}/30 dev eth0\nlink set eth0 up\nroute add default via {host}\n"
        );
        run("ip", &["-batch", "-"], &lines)?;
        if upstream.is_empty() {
            return Ok(None);
        }
        let door = (std::net::Ipv4Addr::LOCALHOST, 53);
        Resolver::new(
            UdpSocket::bind(door)?,
            TcpListener::bind(door)?,
            upstream.to_vec(),
        )
        .map(Some)
    })
}

/// Its own loopback is all that a step without a network has.
pub(super) fn loopback(step: Pid) -> io::Result<()> {
    inside_of(step, sys::loopback_up)
}

/// Writes down whose network others may join, before it says that it is ready.
pub(super) fn offer(shim: &Shim, init: Pid) -> io::Result<()> {
    let born = start_time(init.as_raw()).ok_or_else(|| io::Error::other("its first process is gone"))?;
    write_durably(shim.dir.path(), "init", format!("{init} {born}\n").as_bytes())
}

/// Moves the shim, and so all that it makes, into the network of a container that holds it. What the container was made
/// for is its own: nothing is changed in it from here.
pub(super) fn join(holder: &Path) -> io::Result<()> {
    let text = std::fs::read_to_string(AttemptDir::new(holder).init())?;
    let id = text.trim().split_once(' ');
    let id = id.and_then(|(pid, born)| Some((pid.parse().ok()?, born.parse().ok()?)));
    let (pid, born): (i32, u64) =
        id.ok_or_else(|| io::Error::other("nobody is written down who holds it"))?;
    let network = File::open(format!("/proc/{pid}/ns/net"))?;
    // Compared after it was opened: the number may have been used again before.
    if start_time(pid) != Some(born) {
        return Err(io::Error::other("what held it is gone"));
    }
    Ok(setns(network, CloneFlags::CLONE_NEWNET)?)
}

/// IPv6 is not translated: a step has none, and no link-local way to the host either. A kernel without IPv6 has nothing
/// to quieten.
fn quiet_ipv6(interface: &str) -> io::Result<()> {
    match std::fs::write(format!("/proc/sys/net/ipv6/conf/{interface}/disable_ipv6"), "1") {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// Does something in another process's network namespace. The shim has one thread, and comes back on every path.
fn inside_of<T>(process: Pid, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let home = File::open("/proc/self/ns/net")?;
    setns(
        File::open(format!("/proc/{process}/ns/net"))?,
        CloneFlags::CLONE_NEWNET,
    )?;
    let done = work();
    setns(home, CloneFlags::CLONE_NEWNET)?;
    done
}
