//! What the operator asks of Kong, asked of the program: figures, the admin API with client certificates, and the same
//! requests of two nodes.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use product::admin::{self, Admin, Error, Identity, Submission};
use product::attended::{Ledger, Sent};
use product::figures::{self, Figures};
use product::parity::{Ask, Asks, Pod, Prober, Report};
use product::scrape::Scraper;
use rollout::observation::Parity;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::backend::Backend;
use crate::harness::{Kong, get, until};
use crate::wire::Authority;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const SERVICE: &str = "dataplane-edge-admin";

fn counting() -> Value {
    json!({"name": "prometheus", "config": {"status_code_metrics": true, "latency_metrics": true}})
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_are_what_was_asked() {
    let backend = Backend::start("one");
    let kong = Kong::start(&[("STANDIN_VERSION", "3.9.1")]);
    let scraper = Scraper::default();
    let ask = async || Figures::ask(&scraper, HERE, kong.status).await.unwrap();
    let before = ask().await;
    assert_eq!((before.version.as_deref(), before.requests), (Some("3.9.1"), None));
    kong.configure(&json!({"plugins": [counting()], "services": [
        {"name": "good", "host": "127.0.0.1", "port": backend.port, "routes": [{"name": "g", "paths": ["/good"], "strip_path": false}]},
        {"name": "bad", "host": "127.0.0.1", "port": 1, "retries": 0, "routes": [{"name": "b", "paths": ["/bad"]}]},
        {"name": "no", "host": "127.0.0.1", "port": 1, "routes": [{"name": "n", "paths": ["/no"]}],
            "plugins": [{"name": "request-termination", "config": {"status_code": 403}}]}]}));
    // The marker that told when routes were there is counted too.
    let begun = ask().await;
    let (mut ledger, mut asked) = (Ledger::default(), 0);
    let mut settle = |figures: &Figures, more: u64| {
        asked += more;
        let sent = Sent { asked, ..Sent::default() };
        ledger.settle(figures, &sent, Some(true))
    };
    let first = settle(&begun, 0);
    for (path, times, status) in [("/good", 5, 200), ("/bad", 3, 502), ("/no", 2, 403), ("/missing", 7, 404)]
    {
        for _ in 0..times {
            assert_eq!(get(kong.proxy, path).status, status, "{path}");
        }
    }
    let wanted = begun.requests.unwrap_or(0) + 10;
    let mut looks = 0;
    let figures = loop {
        let figures = ask().await;
        looks += 1;
        if figures.requests == Some(wanted) {
            break figures;
        }
        assert!(looks < 1000, "{figures:?}");
    };
    let second = settle(&figures, looks);
    let grown = |of: fn(&rollout::judge::Counters) -> u64| of(&second) - of(&first);
    assert_eq!((grown(|own| own.requests), grown(|own| own.errors), grown(|own| own.refusals)), (10, 3, 2));
    assert_eq!((grown(|own| own.upstream), grown(|own| own.nginx)), (0, 17 + looks));
    assert_eq!(grown(|own| own.own), looks, "what no route matched is none of it");
    assert_eq!(grown(|own| own.latency.total()), 10);
}

/// A node whose admin API is that of a data plane: TLS, clients of one authority, and a name of its Service.
struct Plane {
    kong: Kong,
    servers: Authority,
    clients: Authority,
    _folder: TempDir,
}

impl Plane {
    fn start(extra: &[(&str, &str)]) -> Self {
        let (servers, clients) = (Authority::new(), Authority::new());
        let folder = TempDir::new().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let (certificate, key) = servers.issue(&format!("*.{SERVICE}.team.svc"));
        let files = [write("tls.crt", &certificate), write("tls.key", &key), write("ca.crt", &clients.pem())];
        let mut settings = vec![
            ("KONG_ADMIN_LISTEN", "127.0.0.1:{admin} ssl http2 reuseport backlog=16384"),
            ("KONG_ADMIN_SSL_CERT", files[0].as_str()),
            ("KONG_ADMIN_SSL_CERT_KEY", files[1].as_str()),
            ("KONG_NGINX_ADMIN_SSL_CLIENT_CERTIFICATE", files[2].as_str()),
            ("KONG_NGINX_ADMIN_SSL_VERIFY_CLIENT", "on"),
            ("KONG_NGINX_ADMIN_SSL_VERIFY_DEPTH", "3"),
        ];
        settings.extend_from_slice(extra);
        Self { kong: Kong::start(&settings), servers, clients, _folder: folder }
    }

    fn at(&self) -> SocketAddr {
        SocketAddr::new(HERE, self.kong.admin)
    }

    /// A client with a certificate of this authority, that looks for this Service.
    fn client(&self, clients: &Authority, service: &str) -> Admin {
        let (certificate, key) = clients.issue("operator");
        let authorities = self.servers.pem();
        let identity = Identity { authorities: &authorities, certificate: &certificate, key: &key };
        Admin::new(&identity, service, "team").unwrap()
    }

    fn own(&self) -> Admin {
        self.client(&self.clients, SERVICE)
    }
}

fn configuration() -> Value {
    json!({"_format_version": "3.0", "plugins": [counting()], "services": [{"name": "a", "host": "example.test",
        "routes": [{"name": "r", "hosts": ["h.test"], "paths": ["~/x$", "/x/"], "headers": {"X-A": ["1"]}}]}]})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_goes_from_one_node_to_another() {
    let (stable, canary) = (Plane::start(&[]), Plane::start(&[]));
    let own = stable.own();
    assert!(!own.status(stable.at()).await.unwrap().is_configured());
    assert!(matches!(own.submit(stable.at(), &configuration()).await, Submission::Accepted));
    assert!(own.status(stable.at()).await.unwrap().is_configured());
    let exported = own.configuration(stable.at()).await.unwrap();
    assert_eq!(exported["services"][0]["name"], "a");
    assert!(figures::counts_all(&exported), "{exported}");
    let own = canary.own();
    assert!(matches!(own.submit(canary.at(), &exported).await, Submission::Accepted));
    assert!(own.status(canary.at()).await.unwrap().is_configured());
    assert_eq!(own.configuration(canary.at()).await.unwrap(), exported);
    until("readiness", || (get(canary.kong.status, "/status/ready").status == 200).then_some(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_names_the_objects_to_blame() {
    let plane = Plane::start(&[]);
    let mut bad = configuration();
    let tags = json!(["k8s-kind:HTTPRoute", "k8s-namespace:team", "k8s-name:shop"]);
    bad["services"][0]["routes"][0]["methods"] = json!(["get"]);
    bad["services"][0]["routes"][0]["tags"] = tags.clone();
    bad["services"].as_array_mut().unwrap().push(json!({"name": "b", "host": "h", "bogus": 1, "tags": tags}));
    let own = plane.own();
    let Submission::Rejected(refusal) = own.submit(plane.at(), &bad).await else { panic!("taken") };
    let text = refusal.to_string();
    assert_eq!(refusal.problems.len(), 2, "{text}");
    assert!(text.starts_with("HTTPRoute team/shop (route r): methods.1: "), "{text}");
    assert!(text.ends_with("HTTPRoute team/shop (service b): bogus: unknown field"), "{text}");
    assert!(!own.status(plane.at()).await.unwrap().is_configured());
    let other = Plane::start(&[("STANDIN_REFUSE_CONFIG", "on")]);
    let Submission::Rejected(refusal) = other.own().submit(other.at(), &configuration()).await else {
        panic!("taken")
    };
    assert!(refusal.to_string().contains("refused"), "{refusal}");
    let small = Plane::start(&[("KONG_NGINX_ADMIN_CLIENT_MAX_BODY_SIZE", "100")]);
    let Submission::Rejected(refusal) = small.own().submit(small.at(), &configuration()).await else {
        panic!("taken")
    };
    assert!(refusal.to_string().contains("nginx_admin_client_max_body_size"), "{refusal}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_is_asked_and_nobody_else_may_ask() {
    let plane = Plane::start(&[]);
    let other = plane.client(&plane.clients, "dataplane-other-admin");
    let error = other.status(plane.at()).await.unwrap_err();
    assert!(matches!(error, Error::Untrusted(..)), "{error:?}");
    let foreign = plane.client(&Authority::new(), SERVICE);
    let error = foreign.configuration(plane.at()).await.unwrap_err();
    assert!(matches!(&error, Error::Status(_, status) if status.as_u16() == 400), "{error:?}");
    let submission = foreign.submit(plane.at(), &configuration()).await;
    assert!(matches!(submission, Submission::Unreachable(Error::Status(..))), "{submission:?}");
    let nowhere = SocketAddr::new(HERE, 1);
    let submission = plane.own().submit(nowhere, &configuration()).await;
    assert!(matches!(submission, Submission::Unreachable(Error::Unconnected(..))), "{submission:?}");
}

/// Services with one route each, all answered by one backend.
fn routed(backend: &Backend, routes: &[Value]) -> Value {
    let services = routes.iter().enumerate().map(|(number, route)| {
        json!({"name": format!("s{number}"), "host": "127.0.0.1", "port": backend.port, "routes": [route]})
    });
    json!({"services": services.collect::<Vec<_>>()})
}

/// Routes of every kind that can be asked.
fn routes() -> Vec<Value> {
    let route = |name: &str, more: Value| {
        let mut route = json!({"name": name, "strip_path": false});
        route.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        route
    };
    vec![
        route("prefix", json!({"hosts": ["a.test"], "paths": ["~/x$", "/x/"]})),
        route("wild", json!({"hosts": ["*.wild.test"], "paths": ["/"]})),
        route("regex", json!({"paths": ["~/api/v[0-9]+/users/(?<id>[^/]+)$"]})),
        route("header", json!({"hosts": ["h.test"], "headers": {"x-version": ["2"]}})),
        route("secure", json!({"hosts": ["s.test"], "protocols": ["https"]})),
        route(
            "expressed",
            json!({"protocols": ["http"], "priority": 7, "expression":
            "http.host == \"e.test\" && (http.path ~ \"^/e[0-9]$\" || http.path ^= \"/e/\")"}),
        ),
        route("post", json!({"hosts": ["p.test"], "methods": ["POST"]})),
    ]
}

fn pod(kong: &Kong) -> Pod {
    Pod { address: HERE, plain: Some(kong.proxy), tls: Some(kong.tls) }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_that_route_alike_are_alike() {
    let backend = Backend::start("one");
    let (stable, canary) = (Kong::start(&[]), Kong::start(&[("STANDIN_VERSION", "3.10.0.2")]));
    let asked = routed(&backend, &routes());
    stable.configure(&asked);
    canary.configure(&asked);
    let yaml = get(stable.admin, "/config").json()["config"].as_str().unwrap().to_owned();
    let asks = Asks::of(&admin::declarative(&yaml).unwrap());
    // The marker of each node's own configuration is among them.
    let kept = |ask: &Ask| ask.route != "marker";
    let asks = Asks { asks: asks.asks.into_iter().filter(kept).collect(), ..asks };
    assert_eq!((asks.asks.len(), asks.skipped, asks.left_off), (8, 1, 0), "{asks:?}");
    let before = backend.seen();
    let report = Prober::new().unwrap().compare(&pod(&stable), &pod(&canary), &asks).await;
    assert_eq!(report, Report { checked: 8, skipped: 1, ..Report::default() }, "{report}");
    assert_eq!(backend.seen() - before, 16, "every request found its route, over TLS too");
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_that_a_canary_lost_are_named() {
    let backend = Backend::start("one");
    let (stable, canary) = (Kong::start(&[]), Kong::start(&[]));
    stable.configure(&routed(&backend, &routes()));
    let without = |names: &[&str]| -> Vec<Value> {
        routes().into_iter().filter(|route| !names.contains(&route["name"].as_str().unwrap())).collect()
    };
    canary.configure(&routed(&backend, &without(&["regex", "secure"])));
    let asks = Asks::of(&routed(&backend, &routes()));
    let prober = Prober::new().unwrap();
    let report = prober.compare(&pod(&stable), &pod(&canary), &asks).await;
    assert_eq!((report.checked, report.mismatched), (8, 2), "{report}");
    assert!(report.words[0].contains("http://parity.invalid/api/v0/users/a (route regex): stable 200 by the upstream, canary 404, as no route matched"), "{report}");
    assert!(report.words[1].starts_with("https://s.test/ (route secure): "), "{report}");
    // A canary that is gone differs in everything; without stable nothing can be said.
    let gone = Pod { address: HERE, plain: Some(1), tls: Some(1) };
    let report = prober.compare(&pod(&stable), &gone, &asks).await;
    assert_eq!((report.checked, report.mismatched, report.words.len()), (8, 8, 5), "{report}");
    let report = prober.compare(&gone, &pod(&stable), &asks).await;
    assert_eq!((report.checked, report.unsettled), (0, 8), "{report}");
    assert_eq!(Parity::from(&report), Parity::Unknown);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stable_that_differs_from_itself_is_no_measure() {
    let backend = Backend::start("one");
    // Kong itself fails every second request, evenly spread.
    let (stable, canary) = (Kong::start(&[("STANDIN_ERROR_SHARE", "0.5")]), Kong::start(&[]));
    let asked = routed(&backend, &routes());
    stable.configure(&asked);
    canary.configure(&asked);
    let mut asks = Asks::of(&asked);
    asks.asks.truncate(1);
    let prober = Prober::new().unwrap();
    for _ in 0..6 {
        let report = prober.compare(&pod(&stable), &pod(&canary), &asks).await;
        assert_eq!(report.mismatched, 0, "{report}");
    }
}
