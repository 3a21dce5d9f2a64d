//! By which addresses this node speaks to its pods: those of our own network namespace, and its gateways.
//!
//! On the node's network they are the node's. In a pod of its own the gateway is what the network plugin gave the
//! node's end, for plugins that give it an address; the others speak from the node's own, which pods' statuses have.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What is known now; less where a file cannot be read.
pub fn look() -> BTreeSet<IpAddr> {
    let read = |name: &str| fs::read_to_string(format!("/proc/self/net/{name}")).unwrap_or_default();
    let four = local_v4(&read("fib_trie")).into_iter().chain(gateways_v4(&read("route"))).map(IpAddr::V4);
    let six = local_v6(&read("if_inet6")).into_iter().chain(gateways_v6(&read("ipv6_route"))).map(IpAddr::V6);
    four.chain(six).filter(|address| !address.is_loopback() && !address.is_unspecified()).collect()
}

/// The address before each line that says `host LOCAL`.
fn local_v4(trie: &str) -> Vec<Ipv4Addr> {
    let mut last: Option<Ipv4Addr> = None;
    let mut found = Vec::new();
    for line in trie.lines() {
        match line.trim_start().strip_prefix("|-- ") {
            Some(address) => last = address.parse().ok(),
            None if line.contains("host LOCAL") => found.extend(last),
            None => {}
        }
    }
    found
}

/// The gateways of default routes: hexadecimal, as they lie in memory.
fn gateways_v4(routes: &str) -> Vec<Ipv4Addr> {
    let gateway = |line: &str| {
        let mut fields = line.split_whitespace().skip(1);
        let (to, gateway) = (fields.next()?, fields.next()?);
        let gateway = u32::from_str_radix(gateway, 16).ok().filter(|_| to == "00000000")?;
        (gateway != 0).then(|| Ipv4Addr::from(gateway.to_ne_bytes()))
    };
    routes.lines().skip(1).filter_map(gateway).collect()
}

fn local_v6(interfaces: &str) -> Vec<Ipv6Addr> {
    interfaces.lines().filter_map(|line| hexadecimal_v6(line.split_whitespace().next()?)).collect()
}

fn gateways_v6(routes: &str) -> Vec<Ipv6Addr> {
    let gateway = |line: &str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let (to, bits, gateway) = (fields.first()?, fields.get(1)?, fields.get(4)?);
        hexadecimal_v6(gateway).filter(|_| *bits == "00" && to.bytes().all(|byte| byte == b'0'))
    };
    routes.lines().filter_map(gateway).collect()
}

fn hexadecimal_v6(text: &str) -> Option<Ipv6Addr> {
    u128::from_str_radix(text, 16).ok().filter(|_| text.len() == 32).map(Ipv6Addr::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_gateways_are_read() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 10.244.0.0\n        /24 link UNICAST\n     \
                    |-- 10.244.0.1\n        /32 host LOCAL\n     |-- 10.244.0.255\n        /32 link BROADCAST\n";
        assert_eq!(local_v4(trie), [Ipv4Addr::new(10, 244, 0, 1)]);
        let gateway = u32::from_ne_bytes([10, 244, 0, 1]);
        let routes = format!(
            "Iface Destination Gateway Flags\neth0 00000000 {gateway:08X} 0003\neth0 0000F40A 00000000 0001\n"
        );
        assert_eq!(gateways_v4(&routes), [Ipv4Addr::new(10, 244, 0, 1)]);
        let interfaces = "fd000000000000000000000000000007 02 40 00 80 eth0\n";
        assert_eq!(local_v6(interfaces), ["fd00::7".parse::<Ipv6Addr>().expect("valid")]);
        let zero = "0".repeat(32);
        let routes = format!("{zero} 00 {zero} 00 fd000000000000000000000000000001 00000400 eth0\n");
        assert_eq!(gateways_v6(&routes), ["fd00::1".parse::<Ipv6Addr>().expect("valid")]);
    }

    #[test]
    fn nonsense_is_nothing() {
        for text in ["", "|-- x\n host LOCAL", "a b\nc", "zz 00 zz 00 zz"] {
            assert!(local_v4(text).is_empty() && gateways_v4(text).is_empty());
            assert!(local_v6(text).is_empty() && gateways_v6(text).is_empty());
        }
        assert!(look().iter().all(|address| !address.is_loopback()));
    }
}
