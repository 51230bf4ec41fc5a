//! The listener of `/metrics`: as it is on this machine, behind TLS and a login beyond it.
//!
//! In: the address, the authority and the metrics. Out: a listener until it is told to drain. Never: metrics for
//! somebody who may not read them; the API server decides who may.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use certs::{Authority, Pair, Request, Resolver, Verdict};
use kube::Client;
use runtime::guard::Guard;
use runtime::listen::Told;
use runtime::metrics::Metrics;
use runtime::{clock, health, listen};
use tokio_util::sync::CancellationToken;

use crate::run::Failed;

/// Name of the Service in front of it.
const SERVICE: &str = "silverback-metrics";
/// How often the certificate is looked at. It lives for months and is renewed a month before its end.
const LOOK: Duration = Duration::from_hours(1);

/// What the listener needs.
pub struct Scrape {
    /// Where to listen.
    pub address: SocketAddr,
    /// Namespace of the operator, and so of the Service.
    pub namespace: String,
    /// Signs the certificate.
    pub authority: Arc<Authority>,
    /// Asks who callers are.
    pub client: Client,
    /// What is shown.
    pub metrics: Metrics,
}

impl Scrape {
    /// Serves until `drain`.
    ///
    /// # Errors
    /// When the address cannot be had, or no certificate be made.
    pub async fn serve(self, drain: CancellationToken) -> Result<(), Failed> {
        let routes = health::metrics(self.metrics.clone());
        let listener = listen::bind(self.address).await?;
        if self.address.ip().is_loopback() {
            return Ok(listen::plain(listener, routes, drain).await?);
        }
        let routes = Guard::new(self.client.clone()).protect(routes);
        let request =
            Request::server(names(&self.namespace, self.address.ip(), |name| std::env::var(name).ok()));
        let pair = self.authority.issue(&request, now())?;
        let resolver = Arc::new(Resolver::new(&pair)?);
        let tls = Arc::new(Arc::clone(&resolver).server()?);
        let told = Told { leave: drain.clone(), drain };
        tokio::select! {
            ended = listen::secured(listener, tls, routes, told) => Ok(ended?),
            () = renew(&self.authority, &request, pair, &resolver) => Ok(()),
        }
    }
}

/// Names by which the listener may be called: its Service, its pod, this machine.
fn names(namespace: &str, address: IpAddr, environment: impl Fn(&str) -> Option<String>) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = [
        format!("{SERVICE}.{namespace}.svc"),
        format!("{SERVICE}.{namespace}.svc.cluster.local"),
        "localhost".into(),
        "127.0.0.1".into(),
        "::1".into(),
    ]
    .into();
    let pod = environment("POD_NAME").or_else(|| environment("HOSTNAME"));
    names.extend(pod.filter(|name| is_host(name)).map(|name| name.to_lowercase()));
    let own = environment("POD_IP").and_then(|address| address.parse::<IpAddr>().ok());
    let bound = Some(address).filter(|address| !address.is_unspecified());
    names.extend(own.into_iter().chain(bound).map(|address| address.to_string()));
    names
}

/// Names of machines may be anything; those that no certificate can carry are left out.
fn is_host(name: &str) -> bool {
    let fits = |part: &str| {
        (1..=63).contains(&part.len())
            && part.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-')
    };
    name.split('.').all(fits)
}

/// Exchanges the certificate when it is time; never ends.
async fn renew(authority: &Authority, request: &Request, mut shown: Pair, resolver: &Resolver) {
    loop {
        tokio::time::sleep(LOOK).await;
        let Some(next) = due(authority, request, &shown, now()) else { continue };
        match next.and_then(|pair| resolver.exchange(&pair).map(|()| pair)) {
            Ok(pair) => {
                tracing::info!("the certificate of /metrics was renewed");
                shown = pair;
            }
            Err(error) => tracing::error!(%error, "the certificate of /metrics could not be renewed"),
        }
    }
}

/// The next certificate, when it is time for it.
fn due(
    authority: &Authority,
    request: &Request,
    shown: &Pair,
    now: SystemTime,
) -> Option<Result<Pair, certs::Error>> {
    match certs::judge(shown, authority.certificate(), request, now) {
        Verdict::Good { .. } => None,
        Verdict::Renew(_) => Some(authority.issue(request, now)),
    }
}

fn now() -> SystemTime {
    SystemTime::from(clock::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_answers_to_its_service_its_pod_and_this_machine() {
        let environment = |name: &str| match name {
            "POD_NAME" => Some("silverback-6d4-Xyz".to_owned()),
            "POD_IP" => Some("fd00::7".to_owned()),
            _ => None,
        };
        let found = names("team", "::".parse().unwrap(), environment);
        for name in ["silverback-metrics.team.svc", "silverback-6d4-xyz", "fd00::7", "localhost"] {
            assert!(found.contains(name), "{name} is not in {found:?}");
        }
        assert!(!found.contains("::"));
        let odd = |name: &str| (name == "HOSTNAME").then(|| "my_machine's".to_owned());
        let found = names("team", "10.0.0.3".parse().unwrap(), odd);
        assert!(found.contains("10.0.0.3") && !found.contains("my_machine's"), "{found:?}");
        let authority = Authority::make("test", now()).unwrap();
        authority.issue(&Request::server(found), now()).unwrap();
    }

    #[test]
    fn a_certificate_is_renewed_when_it_is_time_and_not_before() {
        let authority = Authority::make("test", now()).unwrap();
        let request = Request::server(["a"]);
        let shown = authority.issue(&request, now()).unwrap();
        assert!(due(&authority, &request, &shown, now()).is_none());
        let later = now() + certs::LEAF_LIFE * 3 / 4;
        let next = due(&authority, &request, &shown, later).unwrap().unwrap();
        assert_ne!(next.certificate, shown.certificate);
        assert!(due(&authority, &request, &next, later).is_none());
    }
}
