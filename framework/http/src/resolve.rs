//! Host names to addresses, of which only checked ones are handed on.

use crate::address::{Forbidden, Reach};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::SocketAddr;

/// Resolves through the system and drops every address that the connection may not reach. Since the client connects to what this
/// returns, a name that resolves differently on a second look leads nowhere else.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CheckedResolver {
    reach: Reach,
}

impl CheckedResolver {
    pub(crate) fn new(reach: Reach) -> Self {
        Self { reach }
    }
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.reach;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed = filter(reach, found)?;
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// The addresses that may be connected to.
///
/// # Errors
/// Why the last one may not, if none may.
fn filter(reach: Reach, found: impl Iterator<Item = SocketAddr>) -> Result<Vec<SocketAddr>, Forbidden> {
    let mut refused = None;
    let allowed: Vec<_> =
        found.filter(|a| reach.check(a.ip()).map_err(|reason| refused = Some(reason)).is_ok()).collect();
    match refused {
        Some(reason) if allowed.is_empty() => Err(reason),
        _ => Ok(allowed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(list: &[&str]) -> Vec<SocketAddr> {
        list.iter().map(|a| SocketAddr::new(a.parse().unwrap(), 0)).collect()
    }

    #[test]
    fn only_checked_addresses_are_handed_on() {
        let mixed = addresses(&["10.0.0.1", "1.1.1.1", "::1", "2606:4700::1111"]);
        let allowed = filter(Reach::Public, mixed.into_iter()).unwrap();
        assert_eq!(allowed, addresses(&["1.1.1.1", "2606:4700::1111"]));
        assert_eq!(
            filter(Reach::Public, addresses(&["10.0.0.1"]).into_iter()),
            Err(Forbidden::PrivateAddress)
        );
        assert_eq!(
            filter(Reach::Loopback, addresses(&["169.254.169.254"]).into_iter()),
            Err(Forbidden::Metadata)
        );
    }

    #[tokio::test]
    async fn a_local_name_is_refused_unless_the_operator_named_it() {
        let resolve = |reach| CheckedResolver::new(reach).resolve("localhost".parse().unwrap());
        let Err(refused) = resolve(Reach::Public).await else { panic!("localhost resolved for a document") };
        assert_eq!(refused.downcast_ref::<Forbidden>(), Some(&Forbidden::PrivateAddress));
        let Ok(mut found) = resolve(Reach::Loopback).await else { panic!("localhost did not resolve") };
        assert!(found.next().unwrap().ip().is_loopback());
    }
}
