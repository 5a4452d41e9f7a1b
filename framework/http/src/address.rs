//! Which addresses may be connected to (S14).
//!
//! The check is on resolved addresses, and the connection goes to exactly the address that was checked: a name that resolves
//! differently a moment later cannot lead inside. Cloud metadata services are out of reach in every case.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use url::{Host, Url};

/// Why a base URL or an address is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// The URL cannot be read or has no host.
    #[error("the base URL is not an absolute http or https URL")]
    NotUrl,
    /// User and password in the URL.
    #[error("the base URL holds credentials")]
    Credentials,
    /// `http` to somewhere else than this machine.
    #[error("plain http is only allowed to this machine")]
    PlainHttp,
    /// A document alone leads to this machine.
    #[error(
        "a document alone does not lead to this machine: set the variable of its base URL, which `bothways describe` names"
    )]
    OwnMachine,
    /// An address of a private or special network.
    #[error("the address is in a private or special network")]
    PrivateAddress,
    /// An address where clouds hand out credentials.
    #[error("the address belongs to a cloud metadata service")]
    Metadata,
}

/// What one connection may connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Public addresses only.
    Public,
    /// Loopback addresses too: the operator named this machine.
    Loopback,
    /// Exactly a literal address, private or not: the operator wrote it down.
    Literal(IpAddr),
}

impl Reach {
    /// What a connection to `base` may reach. `from_operator`: a variable of the operator's set the host.
    pub(crate) fn of(base: &Url, from_operator: bool) -> Result<Self, Forbidden> {
        if !base.username().is_empty() || base.password().is_some() {
            return Err(Forbidden::Credentials);
        }
        let host = base.host().ok_or(Forbidden::NotUrl)?;
        let literal = match host {
            Host::Ipv4(address) => Some(IpAddr::V4(address)),
            Host::Ipv6(address) => Some(IpAddr::V6(address)),
            Host::Domain(_) => None,
        };
        let local_name = matches!(host, Host::Domain(name) if is_local_name(name));
        let local = local_name || literal.is_some_and(|a| unmapped(a).is_loopback());

        match base.scheme() {
            "https" => {}
            "http" if from_operator && local => {}
            "http" if local => return Err(Forbidden::OwnMachine),
            "http" => return Err(Forbidden::PlainHttp),
            _ => return Err(Forbidden::NotUrl),
        }
        let reach = match literal {
            Some(address) if from_operator => Self::Literal(address),
            None if from_operator && local_name => Self::Loopback,
            _ => Self::Public,
        };
        if let Some(address) = literal {
            reach.check(address)?;
        }
        Ok(reach)
    }

    /// Whether `address` may be connected to.
    pub(crate) fn check(self, address: IpAddr) -> Result<(), Forbidden> {
        let address = unmapped(address);
        if is_metadata(address) {
            return Err(Forbidden::Metadata);
        }
        let allowed = match self {
            Self::Public => is_public(address),
            Self::Loopback => is_public(address) || address.is_loopback(),
            Self::Literal(literal) => {
                let special = address.is_unspecified() || address.is_multicast();
                unmapped(literal) == address && !special && address != IpAddr::V4(Ipv4Addr::BROADCAST)
            }
        };
        if allowed { Ok(()) } else { Err(Forbidden::PrivateAddress) }
    }
}

fn is_local_name(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    name.eq_ignore_ascii_case("localhost") || name.to_ascii_lowercase().ends_with(".localhost")
}

/// An IPv4 address in IPv6 clothes is the IPv4 address.
fn unmapped(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

/// The well-known addresses of instance metadata services; all of IPv4 link-local, where most of them live.
fn is_metadata(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            v4.is_link_local()
                || [
                    Ipv4Addr::new(100, 100, 100, 200),
                    Ipv4Addr::new(168, 63, 129, 16),
                    Ipv4Addr::new(192, 0, 0, 192),
                ]
                .contains(&v4)
        }
        IpAddr::V6(v6) => v6 == Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = a == 0
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || (a == 100 && (64..128).contains(&b)) // carrier-grade NAT
        || (a == 192 && b == 0 && c == 0) // protocol assignments
        || (a == 192 && b == 88 && c == 99) // 6to4 relays
        || (a == 198 && (b == 18 || b == 19)) // benchmarking
        || a >= 224; // multicast, class E, broadcast
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, _, _, e, f, ..] = address.segments();
    // Only 2000::/3 is handed out as global unicast; loopback, link-local, ULA, multicast, NAT64 and IPv4-compatible are outside it.
    let global = a & 0xe000 == 0x2000;
    let special = a == 0x2002 // 6to4, which wraps any IPv4 address
        || (a == 0x2001 && b < 0x0200) // Teredo, benchmarking, ORCHID and other protocol assignments
        || (a == 0x2001 && b == 0x0db8) // documentation
        || (a == 0x3fff && b < 0x1000) // documentation
        || (e & 0xfdff == 0 && f == 0x5efe); // ISATAP, which wraps any IPv4 address
    global && !special
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(base: &str, from_operator: bool) -> Result<Reach, Forbidden> {
        Reach::of(&Url::parse(base).unwrap(), from_operator)
    }

    #[test]
    fn special_networks_are_not_public() {
        for text in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "::10.0.0.1",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "2002:a00:1::1",
            "2001::1",
            "2001:db8::1",
            "2001:10::1",
            "3fff::1",
            "100::1",
            "2600::5efe:a00:1",
        ] {
            let address: IpAddr = text.parse().unwrap();
            assert!(Reach::Public.check(address).is_err(), "{text}");
        }
        for text in [
            "1.1.1.1",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.255.255",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450::1",
            "2001:4860::8888",
            "::ffff:1.1.1.1",
        ] {
            let address: IpAddr = text.parse().unwrap();
            assert_eq!(Reach::Public.check(address), Ok(()), "{text}");
        }
    }

    #[test]
    fn a_document_reaches_public_https_only() {
        assert_eq!(reach("https://api.stripe.com", false), Ok(Reach::Public));
        assert_eq!(reach("https://localhost", false), Ok(Reach::Public));
        assert_eq!(reach("http://api.stripe.com", false), Err(Forbidden::PlainHttp));
        assert_eq!(reach("http://localhost:1", false), Err(Forbidden::OwnMachine));
        assert_eq!(reach("http://127.0.0.1:1", false), Err(Forbidden::OwnMachine));
        assert_eq!(reach("https://127.0.0.1", false), Err(Forbidden::PrivateAddress));
        assert_eq!(reach("https://10.0.0.1", false), Err(Forbidden::PrivateAddress));
        assert_eq!(reach("https://[::1]", false), Err(Forbidden::PrivateAddress));
        assert_eq!(reach("https://8.8.8.8", false), Ok(Reach::Public));
        assert_eq!(reach("ftp://a.io", false), Err(Forbidden::NotUrl));
        assert_eq!(reach("https://u:p@a.io", false), Err(Forbidden::Credentials));
    }

    #[test]
    fn an_operator_may_name_this_machine_or_a_literal_address() {
        assert_eq!(reach("http://localhost:8420", true), Ok(Reach::Loopback));
        assert_eq!(reach("http://api.localhost", true), Ok(Reach::Loopback));
        let literal = reach("http://127.0.0.1:8420", true).unwrap();
        assert_eq!(literal.check("127.0.0.1".parse().unwrap()), Ok(()));
        assert_eq!(literal.check("127.0.0.2".parse().unwrap()), Err(Forbidden::PrivateAddress));
        assert!(reach("https://192.168.1.5", true).is_ok());
        assert!(reach("http://[::1]:8420", true).is_ok());
        // Other spellings of the same address are that address.
        assert!(reach("http://2130706433", true).is_ok());
        assert_eq!(reach("http://192.168.1.5", true), Err(Forbidden::PlainHttp));
        assert_eq!(reach("http://intranet", true), Err(Forbidden::PlainHttp));
        assert_eq!(
            reach("https://intranet", true),
            Ok(Reach::Public),
            "its addresses are filtered when it is resolved"
        );
    }

    #[test]
    fn metadata_is_never_reached() {
        for base in [
            "https://169.254.169.254",
            "https://[fd00:ec2::254]",
            "https://[::ffff:169.254.169.254]",
            "https://100.100.100.200",
        ] {
            assert_eq!(reach(base, true), Err(Forbidden::Metadata), "{base}");
            assert!(reach(base, false).is_err(), "{base}");
        }
        assert_eq!(Reach::Loopback.check("169.254.170.2".parse().unwrap()), Err(Forbidden::Metadata));
        assert_eq!(reach("https://0.0.0.0", true), Err(Forbidden::PrivateAddress));
    }
}
