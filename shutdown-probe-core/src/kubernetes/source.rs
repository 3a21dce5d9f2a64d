//! Where a late client came from, in classes: its address would be no label.

use crate::closed_set::closed_set;
use core::fmt;
use core::str::FromStr;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

closed_set! {
    /// Where a client came from, as its address tells it.
    Source {
        /// A pod of this node, or the node itself: also what kube-proxy or a CNI plugin hides behind the
        /// node's address.
        SameNode = "same_node",
        /// Another address of the cluster's networks.
        Cluster = "cluster",
        /// Any other.
        Outside = "outside",
    }
}

/// A range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// The networks that clusters use where nobody says otherwise: private, shared (carrier-grade NAT, which some
/// clouds give to pods), unique local and link-local ones.
pub fn private_networks() -> Vec<Network> {
    let four = |a, b, bits| Network { address: Ipv4Addr::new(a, b, 0, 0).into(), bits };
    let six = |first, bits| Network { address: Ipv6Addr::new(first, 0, 0, 0, 0, 0, 0, 0).into(), bits };
    vec![
        four(10, 0, 8),
        four(172, 16, 12),
        four(192, 168, 16),
        four(100, 64, 10),
        four(169, 254, 16),
        six(0xfc00, 7),
        six(0xfe80, 10),
    ]
}

impl Network {
    /// Whether this address is in it.
    pub fn contains(self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                (own.to_bits() ^ other.to_bits()).checked_shr(32 - u32::from(self.bits)).unwrap_or(0) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                (own.to_bits() ^ other.to_bits()).checked_shr(128 - u32::from(self.bits)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no network such as 10.244.0.0/16 or fd00::/8");
        let (address, bits) = text.split_once('/').ok_or_else(wrong)?;
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let bits = bits.parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        if bits > most { Err(wrong()) } else { Ok(Self { address, bits }) }
    }
}

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_their_addresses() {
        for (network, inside, outside) in [
            ("10.244.0.0/16", "10.244.255.1", "10.245.0.1"),
            ("0.0.0.0/0", "8.8.8.8", "::1"),
            ("192.168.1.7/32", "192.168.1.7", "192.168.1.6"),
            ("fd00::/8", "fd12::1", "fe80::1"),
            ("::/0", "2001:db8::1", "10.0.0.1"),
        ] {
            let network: Network = network.parse().expect("valid");
            assert!(network.contains(inside.parse().expect("valid")), "{network} {inside}");
            assert!(!network.contains(outside.parse().expect("valid")), "{network} {outside}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in ["", "10.0.0.0", "10.0.0.0/33", "fd00::/129", "ten/8", "10.0.0.0/-1"] {
            assert!(text.parse::<Network>().is_err(), "{text:?}");
        }
        assert_eq!("fd00::/8".parse::<Network>().map(|network| network.to_string()), Ok("fd00::/8".into()));
    }

    #[test]
    fn private_networks_are_those_of_the_registries() {
        let is_private = |address: &str| {
            private_networks().iter().any(|network| network.contains(address.parse().expect("valid")))
        };
        for address in ["10.1.2.3", "172.31.0.1", "192.168.0.1", "100.127.0.1", "fd00::1", "fe80::1"] {
            assert!(is_private(address), "{address}");
        }
        for address in ["172.32.0.1", "100.128.0.1", "8.8.8.8", "2001:db8::1"] {
            assert!(!is_private(address), "{address}");
        }
    }
}
