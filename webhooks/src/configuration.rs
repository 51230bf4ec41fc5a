//! The webhook configurations, as the API server is told them.
//!
//! In: the table of routes, the Service, the certificate authorities and whether reviews that nobody answers are refused.
//! Out: objects for server-side apply. Never: a deletion, a subresource, the operator's own namespace.

use crds::names::{self, WEBHOOK_CONFIGURATION, labels};
use serde_json::{Map, Value, json};

use crate::kinds::Kind;
use crate::routes::{Act, ROUTES, Resource, Route, Unanswered};

/// How long the API server waits for an answer, in seconds. Answers take milliseconds; a replica that hangs should
/// not hold a user up for long.
const TIMEOUT: u8 = 5;
/// The label that every namespace has, with its name.
const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";

/// Where the webhooks are and how strictly they are meant.
#[derive(Debug, Clone, Copy)]
pub struct Registration<'a> {
    /// Namespace of the operator and of its Service.
    pub namespace: &'a str,
    /// Name of the Service.
    pub service: &'a str,
    /// Namespaces that are looked after; all of them where there is none. What is elsewhere is somebody else's.
    pub watched: &'a [String],
    /// Certificates by which the API server knows the webhooks, in PEM, base64 once more as the field wants it; none
    /// where somebody else writes them.
    pub authorities: Option<&'a str>,
    /// Whether requests are refused while nobody answers.
    pub strict: bool,
    /// `spec.controllerName` of the classes that are ours.
    pub controller: &'a str,
}

impl Registration<'_> {
    /// The `MutatingWebhookConfiguration`.
    pub fn mutating(&self) -> Value {
        self.configuration("MutatingWebhookConfiguration", |act| act == Act::Default)
    }

    /// The `ValidatingWebhookConfiguration`.
    pub fn validating(&self) -> Value {
        self.configuration("ValidatingWebhookConfiguration", |act| act != Act::Default)
    }

    fn configuration(&self, kind: &str, is_of: impl Fn(Act) -> bool) -> Value {
        let webhooks: Vec<_> =
            ROUTES.iter().filter(|route| is_of(route.act)).map(|route| self.webhook(route)).collect();
        let mut configuration = empty(kind);
        if let Some(members) = configuration.as_object_mut() {
            members.insert("webhooks".to_owned(), webhooks.into());
        }
        configuration
    }

    fn webhook(&self, route: &Route) -> Value {
        let mut webhook = json!({
            "name": route.name,
            "admissionReviewVersions": ["v1"],
            "clientConfig": self.client(route),
            "failurePolicy": if self.refuses(route) { "Fail" } else { "Ignore" },
            "matchPolicy": "Equivalent",
            "sideEffects": "None",
            "timeoutSeconds": TIMEOUT,
            "rules": [rule(route)],
        });
        let mut add = |field: &str, value: Value| {
            if let Some(members) = webhook.as_object_mut() {
                members.insert(field.to_owned(), value);
            }
        };
        if route.kind.resource().namespaced {
            add("namespaceSelector", self.namespaces(route.act));
        }
        add("objectSelector", objects(route.act));
        if route.kind == Kind::GatewayClass {
            let ours = format!("object.spec.controllerName == '{}'", self.controller);
            add("matchConditions", json!([{ "name": "ours", "expression": ours }]));
        }
        if route.act == Act::Default {
            // Another webhook may add a stanza that has defaults; filling in is idempotent.
            add("reinvocationPolicy", json!("IfNeeded"));
        }
        webhook
    }

    fn client(&self, route: &Route) -> Value {
        let service =
            json!({ "name": self.service, "namespace": self.namespace, "path": route.path, "port": 443 });
        let mut client = Map::from_iter([("service".to_owned(), service)]);
        if let Some(authorities) = self.authorities {
            client.insert("caBundle".to_owned(), authorities.into());
        }
        client.into()
    }

    /// A self-test is nobody else's request: it may fail.
    fn refuses(&self, route: &Route) -> bool {
        route.act == Act::SelfTest || (self.strict && route.unanswered == Unanswered::Refused)
    }

    /// The operator's own namespace is left alone, so that it can always be brought up; it tests itself there.
    fn namespaces(&self, act: Act) -> Value {
        let named = |operator: &str, names: Value| json!({ "key": NAMESPACE_NAME, "operator": operator, "values": names });
        let own = named(if act == Act::SelfTest { "In" } else { "NotIn" }, json!([self.namespace]));
        let watched =
            (act != Act::SelfTest && !self.watched.is_empty()).then(|| named("In", json!(self.watched)));
        let all: Vec<_> = [own].into_iter().chain(watched).collect();
        json!({ "matchExpressions": all })
    }
}

fn rule(route: &Route) -> Value {
    let Resource { group, version, plural, namespaced, .. } = route.kind.resource();
    let operations: &[&str] = if route.act == Act::SelfTest { &["CREATE"] } else { &["CREATE", "UPDATE"] };
    json!({
        "apiGroups": [group],
        "apiVersions": [version],
        "resources": [plural],
        "operations": operations,
        "scope": if namespaced { "Namespaced" } else { "Cluster" },
    })
}

fn objects(act: Act) -> Value {
    if act == Act::SelfTest {
        json!({ "matchExpressions": [{ "key": labels::SELF_TEST, "operator": "Exists" }] })
    } else {
        json!({})
    }
}

/// A configuration without webhooks, as `manifests/webhook` has it: the operator fills it in.
pub fn empty(kind: &str) -> Value {
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": kind,
        "metadata": { "name": WEBHOOK_CONFIGURATION },
    })
}

/// The Service in front of the webhooks of the operator's pods.
pub fn service() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": names::WEBHOOK_SERVICE, "namespace": names::NAMESPACE },
        "spec": {
            "selector": { "app.kubernetes.io/name": "silverback" },
            "ports": [{ "name": "webhooks", "port": 443, "protocol": "TCP", "targetPort": "webhooks" }],
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(strict: bool) -> Vec<Value> {
        watching(&[], strict)
    }

    fn watching(watched: &[String], strict: bool) -> Vec<Value> {
        let registration = Registration {
            namespace: "silverback-system",
            service: "silverback-webhook",
            watched,
            authorities: Some("QQ=="),
            strict,
            controller: "konghq.com/gateway-operator",
        };
        let both = [registration.mutating(), registration.validating()];
        both.iter().flat_map(|found| found["webhooks"].as_array().unwrap().clone()).collect()
    }

    #[test]
    fn every_route_is_registered_once() {
        assert_eq!(all(true).len(), ROUTES.len());
        insta::assert_json_snapshot!(all(true));
    }

    #[test]
    fn nothing_is_refused_before_the_operator_has_proved_itself() {
        for webhook in all(false) {
            let test = webhook["name"].as_str().unwrap().starts_with("self-test");
            assert_eq!(webhook["failurePolicy"] == "Fail", test, "{webhook}");
        }
        let refusing = all(true).iter().filter(|webhook| webhook["failurePolicy"] == "Fail").count();
        assert_eq!(refusing, ROUTES.len() - 2, "Gateway API's kinds are never refused unheard");
    }

    #[test]
    fn only_what_is_looked_after_is_asked_about() {
        for webhook in watching(&["team-a".to_owned()], true) {
            let test = webhook["name"].as_str().unwrap().starts_with("self-test");
            let Some(selector) = webhook.get("namespaceSelector") else { continue };
            let expressions = selector["matchExpressions"].as_array().unwrap();
            assert_eq!(expressions.len(), if test { 1 } else { 2 }, "{webhook}");
            assert_eq!(expressions[0]["values"], json!(["silverback-system"]));
        }
    }

    #[test]
    fn deletions_subresources_and_other_kinds_are_left_alone() {
        for webhook in all(true) {
            let rule = &webhook["rules"][0];
            let texts: Vec<_> = ["operations", "resources", "apiGroups"]
                .iter()
                .flat_map(|field| rule[*field].as_array().unwrap())
                .filter_map(Value::as_str)
                .collect();
            assert!(
                texts.iter().all(|text| !["DELETE", "*", ""].contains(text) && !text.contains('/')),
                "{rule}"
            );
            assert_eq!(webhook["sideEffects"], "None");
        }
    }
}
