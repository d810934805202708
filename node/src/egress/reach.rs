//! Which addresses a workflow's URL may lead to: public ones, and what the operator allows. Pure.
//!
//! The blocks are those of IANA's special-purpose registries for [IPv4] and [IPv6].
//!
//! [IPv4]: https://www.iana.org/assignments/iana-ipv4-special-registry/
//! [IPv6]: https://www.iana.org/assignments/iana-ipv6-special-registry/

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use ipnet::IpNet;

/// What kind of place an address that is not public leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inside {
    /// This machine.
    Loopback,
    /// A network of somebody's own: RFC 1918, unique local.
    Private,
    /// The wire that this machine is on.
    LinkLocal,
    /// A cloud's metadata service, which hands out credentials.
    Metadata,
    /// A provider's network behind its NAT.
    Shared,
    /// A group of receivers.
    Multicast,
    /// No place at all: unspecified, documentation, benchmarks, broadcast, reserved.
    Reserved,
}

impl Inside {
    /// In words: "a … address".
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::LinkLocal => "link-local",
            Self::Metadata => "metadata service's",
            Self::Shared => "carrier's (CGNAT)",
            Self::Multicast => "multicast",
            Self::Reserved => "reserved",
        }
    }
}

/// An address that may not be connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Denied {
    /// The address, as it would be connected to.
    pub address: IpAddr,
    /// What it is.
    pub inside: Inside,
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is a {} address", self.address, self.inside.as_str())
    }
}

impl std::error::Error for Denied {}

/// Which addresses may be connected to. By default the public ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach(Vec<IpNet>);

impl Reach {
    /// Public addresses, and these networks. A metadata service is allowed by its single address only: that a network
    /// around it is meant to include it is never assumed.
    pub fn with(allowed: impl IntoIterator<Item = IpNet>) -> Self {
        Self(allowed.into_iter().collect())
    }

    /// Whether an address may be connected to.
    ///
    /// # Errors
    /// When it may not.
    pub fn check(&self, address: IpAddr) -> Result<(), Denied> {
        let meant = meant(address);
        let Some(inside) = inside(meant) else {
            return Ok(());
        };
        let allows = |net: &IpNet| {
            let exact = net.prefix_len() == net.max_prefix_len();
            (net.contains(&meant) || net.contains(&address)) && (inside != Inside::Metadata || exact)
        };
        if self.0.iter().any(allows) {
            Ok(())
        } else {
            Err(Denied { address, inside })
        }
    }
}

/// The IPv4 address that an IPv6 address stands for, where it does: mapped, compatible, NAT64, 6to4.
fn meant(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else {
        return address;
    };
    let parts = v6.segments();
    let pair = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match parts {
        [0, 0, 0, 0, 0, 0xffff, high, low] => pair(high, low).into(),
        // `::` and `::1` are addresses of their own.
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => pair(high, low).into(),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => pair(high, low).into(),
        _ => address,
    }
}

const METADATA_V4: [Ipv4Addr; 6] = [
    // AWS, Azure, Google, Oracle, DigitalOcean and others; then AWS for containers and pods.
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(169, 254, 170, 2),
    Ipv4Addr::new(169, 254, 170, 23),
    // Azure's wire server, in a public block; Alibaba; Oracle's old one.
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(192, 0, 0, 192),
];

const METADATA_V6: [Ipv6Addr; 3] = [
    // AWS for machines and for pods; Google.
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
];

fn inside(address: IpAddr) -> Option<Inside> {
    match address {
        IpAddr::V4(v4) => inside_v4(v4),
        IpAddr::V6(v6) => inside_v6(v6),
    }
}

fn inside_v4(address: Ipv4Addr) -> Option<Inside> {
    if METADATA_V4.contains(&address) {
        return Some(Inside::Metadata);
    }
    match address.octets() {
        [127, ..] => Some(Inside::Loopback),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Some(Inside::Private),
        [169, 254, ..] => Some(Inside::LinkLocal),
        [100, 64..=127, ..] => Some(Inside::Shared),
        [224..=239, ..] => Some(Inside::Multicast),
        [0 | 240..=255, ..]
        | [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [198, 18 | 19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _] => Some(Inside::Reserved),
        _ => None,
    }
}

fn inside_v6(address: Ipv6Addr) -> Option<Inside> {
    if METADATA_V6.contains(&address) {
        return Some(Inside::Metadata);
    }
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => Some(Inside::Loopback),
        // Unique local, and NAT64 of a network's own, whose IPv4 address stands where the network likes.
        [0xfc00..=0xfdff, ..] | [0x64, 0xff9b, 1, ..] => Some(Inside::Private),
        [0xfe80..=0xfebf, ..] => Some(Inside::LinkLocal),
        [0xff00..=0xffff, ..] => Some(Inside::Multicast),
        // Teredo, ORCHID and others; documentation.
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Some(Inside::Reserved),
        // What is handed out as global unicast.
        [0x2000..=0x3fff, ..] => None,
        _ => Some(Inside::Reserved),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn denied(reach: &Reach, address: &str) -> Option<Inside> {
        reach
            .check(address.parse().unwrap())
            .err()
            .map(|denied| denied.inside)
    }

    #[test]
    fn only_public_addresses_are_reached() {
        let public = Reach::default();
        for (address, inside) in [
            ("127.0.0.1", Inside::Loopback),
            ("127.255.255.254", Inside::Loopback),
            ("::1", Inside::Loopback),
            ("::ffff:127.0.0.1", Inside::Loopback),
            ("::127.0.0.1", Inside::Loopback),
            ("10.0.0.1", Inside::Private),
            ("172.16.0.1", Inside::Private),
            ("172.31.255.255", Inside::Private),
            ("192.168.1.1", Inside::Private),
            ("::ffff:10.1.2.3", Inside::Private),
            ("64:ff9b::10.1.2.3", Inside::Private),
            ("64:ff9b:1::1", Inside::Private),
            ("2002:a01:203::1", Inside::Private),
            ("fc00::1", Inside::Private),
            ("fd12:3456::1", Inside::Private),
            ("169.254.1.1", Inside::LinkLocal),
            ("fe80::1", Inside::LinkLocal),
            ("febf::1", Inside::LinkLocal),
            ("169.254.169.254", Inside::Metadata),
            ("169.254.170.2", Inside::Metadata),
            ("168.63.129.16", Inside::Metadata),
            ("100.100.100.200", Inside::Metadata),
            ("::ffff:169.254.169.254", Inside::Metadata),
            ("64:ff9b::a9fe:a9fe", Inside::Metadata),
            ("fd00:ec2::254", Inside::Metadata),
            ("100.64.0.1", Inside::Shared),
            ("100.127.255.255", Inside::Shared),
            ("224.0.0.1", Inside::Multicast),
            ("ff02::1", Inside::Multicast),
            ("0.0.0.0", Inside::Reserved),
            ("0.1.2.3", Inside::Reserved),
            ("255.255.255.255", Inside::Reserved),
            ("240.0.0.1", Inside::Reserved),
            ("192.0.2.1", Inside::Reserved),
            ("198.18.0.1", Inside::Reserved),
            ("::", Inside::Reserved),
            ("2001:db8::1", Inside::Reserved),
            ("2001::1", Inside::Reserved),
            ("fec0::1", Inside::Reserved),
            ("4000::1", Inside::Reserved),
        ] {
            assert_eq!(denied(&public, address), Some(inside), "{address}");
        }
        for address in [
            "1.1.1.1",
            "172.15.0.1",
            "172.32.0.1",
            "100.63.0.1",
            "100.128.0.1",
            "169.253.1.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2001:4860:4860::8888",
            "::ffff:1.1.1.1",
            "64:ff9b::1.1.1.1",
        ] {
            assert_eq!(denied(&public, address), None, "{address}");
        }
    }

    #[test]
    fn the_operator_allows_networks_but_metadata_by_its_address_only() {
        let nets = ["10.0.0.0/8", "169.254.0.0/16", "fd00::/8", "168.63.129.16/32"];
        let reach = Reach::with(nets.map(|net| net.parse().unwrap()));
        for address in [
            "10.1.2.3",
            "::ffff:10.1.2.3",
            "169.254.1.1",
            "fd12::1",
            "168.63.129.16",
        ] {
            assert_eq!(denied(&reach, address), None, "{address}");
        }
        assert_eq!(denied(&reach, "192.168.1.1"), Some(Inside::Private));
        assert_eq!(denied(&reach, "169.254.169.254"), Some(Inside::Metadata));
        assert_eq!(denied(&reach, "fd00:ec2::254"), Some(Inside::Metadata));
    }
}
