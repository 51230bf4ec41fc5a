//! Sets of listeners: who is let in, who comes first, what is said of each.

use gateway_api::listenersets::ListenerSetStatus;

use super::*;

fn parent(from: Option<Value>, listeners: Value) -> Gateway {
    let mut spec = json!({ "listeners": listeners });
    if let Some(from) = from {
        spec["allowedListeners"] = json!({ "namespaces": from });
    }
    gateway(spec)
}

fn http(name: &str, host: &str) -> Value {
    json!({ "name": name, "port": 80, "protocol": "HTTP", "hostname": host })
}

fn statuses(
    object: &Gateway,
    sets: Vec<Arc<ListenerSet>>,
    around: &Around,
) -> (GatewayStatus, BTreeMap<String, ListenerSetStatus>) {
    let judged = judged(object, &Known { sets: Some(sets), ..known(around) });
    let serving = serving();
    let status = judged.status(&seen(&serving));
    let sets = judged.set_statuses(&seen(&serving), &status);
    (status, sets.into_iter().map(|(set, status)| (set.metadata.name.clone().unwrap(), status)).collect())
}

fn said<'a>(status: &'a ListenerSetStatus, type_: &str) -> (&'a str, &'a str) {
    told(status.conditions.as_deref().unwrap(), type_)
}

fn of_entry<'a>(status: &'a ListenerSetStatus, name: &str, type_: &str) -> (&'a str, &'a str) {
    let listeners = status.listeners.as_deref().unwrap();
    told(&listeners.iter().find(|listener| listener.name == name).unwrap().conditions, type_)
}

#[test]
fn a_gateway_lets_sets_in_as_it_says_and_none_by_itself() {
    let around = Around {
        labels: [("web".to_owned(), [("expose".to_owned(), "yes".to_owned())].into())].into(),
        ..Around::default()
    };
    let selector = json!({ "from": "Selector", "selector": { "matchLabels": { "expose": "yes" } } });
    for (from, here, abroad) in [
        (None, false, false),
        (Some(json!({ "from": "None" })), false, false),
        (Some(json!({ "from": "Same" })), true, false),
        (Some(json!({ "from": "All" })), true, true),
        (Some(selector), false, true),
    ] {
        let object = parent(from.clone(), json!([http("own", "own.com")]));
        let sets = vec![
            set("here", "team", json!([http("x", "x.com")])),
            set("abroad", "web", json!([http("y", "y.com")])),
        ];
        let (status, sets) = statuses(&object, sets, &around);
        assert_eq!(status.attached_listener_sets, Some(i32::from(here) + i32::from(abroad)), "{from:?}");
        for (name, allowed) in [("here", here), ("abroad", abroad)] {
            let wanted = if allowed {
                [("True", "Accepted"), ("True", "Programmed")]
            } else {
                [("False", "NotAllowed"); 2]
            };
            assert_eq!(
                [said(&sets[name], ACCEPTED), said(&sets[name], PROGRAMMED)],
                wanted,
                "{from:?} {name}"
            );
        }
    }
}

#[test]
fn the_gateway_comes_first_then_the_oldest_set() {
    let tcp = json!({ "name": "clash", "port": 80, "protocol": "TCP" });
    for (first, again, reason) in [
        (http("clash", "clash.com"), http("clash", "clash.com"), "HostnameConflict"),
        (http("clash", "clash.com"), tcp, "ProtocolConflict"),
    ] {
        let object = parent(Some(json!({ "from": "Same" })), json!([http("own", "own.com"), first]));
        let sets = vec![
            set("b", "team", json!([http("fine", "fine.com"), again])),
            set("a", "team", json!([again])),
        ];
        let (status, sets) = statuses(&object, sets, &Around::default());
        assert_eq!(of_listener(&status, "clash", ACCEPTED), ("True", "Accepted"));
        assert_eq!(
            of_gateway_status(&status, ACCEPTED),
            ("True", "Accepted"),
            "sets do not break their Gateway"
        );
        assert_eq!(status.attached_listener_sets, Some(1));
        assert_eq!(said(&sets["b"], ACCEPTED), ("True", "ListenersNotValid"));
        assert_eq!(said(&sets["b"], PROGRAMMED), ("True", "Programmed"));
        assert_eq!(said(&sets["a"], ACCEPTED), ("False", "ListenersNotValid"));
        assert_eq!(said(&sets["a"], PROGRAMMED), ("False", "ListenersNotValid"));
        for (type_, wanted) in [(ACCEPTED, "False"), (PROGRAMMED, "False"), ("Conflicted", "True")] {
            assert_eq!(of_entry(&sets["a"], "clash", type_), (wanted, reason));
            assert_eq!(of_entry(&sets["b"], "clash", type_), (wanted, reason));
        }
        assert_eq!(of_entry(&sets["b"], "fine", PROGRAMMED), ("True", "Programmed"));
    }
}

#[test]
fn of_two_sets_of_one_age_the_first_by_name_wins() {
    let object = parent(Some(json!({ "from": "Same" })), json!([http("own", "own.com")]));
    let sets =
        vec![set("b", "team", json!([http("x", "x.com")])), set("a", "team", json!([http("x", "x.com")]))];
    let (_, sets) = statuses(&object, sets, &Around::default());
    assert_eq!(said(&sets["a"], ACCEPTED).0, "True");
    assert_eq!(said(&sets["b"], ACCEPTED), ("False", "ListenersNotValid"));
}

#[test]
fn a_set_refers_by_leave_of_its_own_and_not_of_its_gateways() {
    let https = json!([{ "name": "x", "port": 443, "protocol": "HTTPS", "tls": { "certificateRefs": [{ "name": "c", "namespace": "other" }] } }]);
    let object = parent(Some(json!({ "from": "All" })), json!([http("own", "")]));
    for (kind, permitted) in [("Gateway", false), ("ListenerSet", true)] {
        let mut around = Around::with_certificate("other/c");
        let from = json!([{ "group": "gateway.networking.k8s.io", "kind": kind, "namespace": "team" }]);
        let spec = json!({ "from": from, "to": [{ "group": "", "kind": "Secret" }] });
        around.grants.push(Arc::new(
            serde_json::from_value(
                json!({ "metadata": { "name": "g", "namespace": "other" }, "spec": spec }),
            )
            .unwrap(),
        ));
        let (_, sets) = statuses(&object, vec![set("s", "team", https.clone())], &around);
        let wanted = if permitted { ("True", "ResolvedRefs") } else { ("False", "RefNotPermitted") };
        assert_eq!(of_entry(&sets["s"], "x", "ResolvedRefs"), wanted, "{kind}");
        let wanted = if permitted { ("True", "Accepted") } else { ("False", "ListenersNotValid") };
        assert_eq!(said(&sets["s"], ACCEPTED), wanted, "{kind}");
    }
}

#[test]
fn where_the_kind_is_not_installed_nothing_is_counted() {
    let object = parent(None, json!([http("own", "")]));
    assert_eq!(
        judged(&object, &known(&Around::default())).status(&seen(&serving())).attached_listener_sets,
        None
    );
}
