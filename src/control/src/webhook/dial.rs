//! Whether this replica's own listener would be trusted.
//!
//! In: the listener's address, what is shown, and what clients are asked to trust. Out: a check for readiness. Never: a
//! request; a handshake says it all.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use certs::client::{Trusts, client};
use runtime::clock;
use runtime::health::Checks;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::Certificates;
use super::shown::Leaf;

/// How often it is looked at when all is well.
const SELDOM: Duration = Duration::from_secs(30);
/// How often when it is not.
const OFTEN: Duration = Duration::from_millis(250);
/// How long a handshake with oneself may take.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// What readiness calls it.
const CHECK: &str = "webhook-certificate";

impl Certificates {
    /// Adds a check that fails while a client that trusts what is published would not get through to `listener`.
    pub fn check(&self, listener: SocketAddr, checks: &Checks, tasks: &mut JoinSet<()>) {
        let state = Arc::new(Mutex::new(Err("there is no certificate yet".to_owned())));
        let (asked, leaf) = (Arc::clone(&state), self.shown.clone());
        checks.add(CHECK, move || {
            let over = leaf.borrow().as_ref().is_some_and(|leaf| leaf.ends <= now());
            if over {
                return Err("the certificate's life is over".to_owned());
            }
            asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
        });
        tasks.spawn(dial(self.clone(), local(listener), state));
    }
}

async fn dial(certificates: Certificates, addresses: Vec<SocketAddr>, state: Arc<Mutex<Result<(), String>>>) {
    let Certificates { mut shown, mut bundle, setup, .. } = certificates;
    let name = setup.name();
    loop {
        let (leaf, trusted) = (shown.borrow_and_update().clone(), bundle.borrow_and_update().clone());
        let found = match leaf {
            None => Err("there is no certificate yet".to_owned()),
            Some(leaf) => match timeout(HANDSHAKE, shake(&addresses, &name, &leaf, trusted.as_deref())).await
            {
                Ok(shaken) => shaken,
                Err(_) => Err("the listener does not answer".to_owned()),
            },
        };
        let pause = if found.is_ok() { SELDOM } else { OFTEN };
        *state.lock().unwrap_or_else(PoisonError::into_inner) = found;
        tokio::select! {
            Ok(()) = shown.changed() => {}
            Ok(()) = bundle.changed() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn shake(
    addresses: &[SocketAddr],
    name: &str,
    leaf: &Leaf,
    bundle: Option<&str>,
) -> Result<(), String> {
    // A certificate that is its own authority is trusted as it is, by the API server too; verifiers of chains want two.
    let trusts = match bundle {
        Some(bundle) if !certs::holds(bundle, &leaf.chain) => Trusts::Authorities(bundle),
        _ => Trusts::Only(&leaf.chain),
    };
    let config = client(trusts, now().max(leaf.since)).map_err(|error| error.to_string())?;
    let name = name.to_owned().try_into().map_err(|_| format!("{name:?} is no DNS name"))?;
    let stream = TcpStream::connect(addresses).await.map_err(|error| format!("no connection: {error}"))?;
    let shaken = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    shaken.map(drop).map_err(|error| format!("no handshake with the own listener: {error}"))
}

/// Where a listener is reached from this machine. One on all addresses has those of IPv4 only where there is no IPv6.
fn local(listener: SocketAddr) -> Vec<SocketAddr> {
    let at = |address: IpAddr| SocketAddr::from((address, listener.port()));
    match listener.ip() {
        IpAddr::V4(all) if all.is_unspecified() => vec![at(Ipv4Addr::LOCALHOST.into())],
        IpAddr::V6(all) if all.is_unspecified() => {
            vec![at(Ipv6Addr::LOCALHOST.into()), at(Ipv4Addr::LOCALHOST.into())]
        }
        other => vec![at(other)],
    }
}

fn now() -> SystemTime {
    SystemTime::from(clock::now())
}

#[cfg(test)]
mod tests {
    use certs::rotation::{self, Pace, Step, View};
    use certs::{Request, Resolver};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;

    const NAME: &str = "silverback-webhook.a.svc";

    /// A listener with a certificate of its own authority, both made then; and that authority.
    async fn listener(made: SystemTime) -> (SocketAddr, Leaf, String) {
        let request = Request::server([NAME]);
        let view = View { request: &request, ask: None, trusted: None, now: made, pace: Pace::default() };
        let Ok(Step::Write { state, .. }) = rotation::look(None, None, &view) else { panic!("no beginning") };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Arc::new(Resolver::new(&state.leaf).unwrap()).server().unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(server));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                drop(acceptor.accept(stream).await);
            }
        });
        let chain = state.leaf.certificate.clone();
        let leaf = Leaf { chain, ends: state.ends().unwrap(), since: SystemTime::UNIX_EPOCH };
        (address, leaf, state.bundle())
    }

    #[tokio::test]
    async fn only_a_listener_that_clients_would_trust_is_trusted() {
        let ((address, leaf, bundle), (_, other, strange)) = (listener(now()).await, listener(now()).await);
        let shake =
            async |name: &str, leaf: &Leaf, bundle: Option<&str>| shake(&[address], name, leaf, bundle).await;
        assert_eq!(shake(NAME, &leaf, Some(&bundle)).await, Ok(()));
        assert_eq!(shake(NAME, &leaf, Some(&format!("{strange}{bundle}"))).await, Ok(()));
        assert_eq!(shake(NAME, &leaf, None).await, Ok(()), "just what is shown");
        assert!(shake(NAME, &leaf, Some(&strange)).await.is_err(), "another authority");
        assert!(shake("silverback-webhook.b.svc", &leaf, Some(&bundle)).await.is_err(), "another name");
        assert!(shake(NAME, &other, None).await.is_err(), "not what is shown");
        assert!(shake(NAME, &leaf, Some("")).await.is_err(), "nobody is trusted");
    }

    #[tokio::test]
    async fn a_clock_that_is_late_does_not_keep_it_from_being_trusted() {
        let later = now() + Duration::from_hours(2);
        let (address, mut leaf, bundle) = listener(later).await;
        assert!(shake(&[address], NAME, &leaf, Some(&bundle)).await.is_err(), "not valid yet");
        leaf.since = later;
        assert_eq!(shake(&[address], NAME, &leaf, Some(&bundle)).await, Ok(()));
    }

    #[test]
    fn a_listener_on_all_addresses_is_reached_on_those_of_this_machine() {
        for (listener, reached) in [
            ("10.0.0.1:9443", vec!["10.0.0.1:9443"]),
            ("0.0.0.0:9443", vec!["127.0.0.1:9443"]),
            ("[::]:9443", vec!["[::1]:9443", "127.0.0.1:9443"]),
        ] {
            let reached: Vec<SocketAddr> =
                reached.into_iter().map(|address| address.parse().unwrap()).collect();
            assert_eq!(local(listener.parse().unwrap()), reached);
        }
    }
}
