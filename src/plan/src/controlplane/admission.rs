//! What Kong Ingress Controller validates before it is stored.
//!
//! In: its version, namespaces, class and Gateway. Out: one `ValidatingWebhookConfiguration`. Never: a namespace that it does
//! not watch, a kind that its version does not know, or an object that the API server can tell is another's: with many
//! control planes each would otherwise be asked about everything.

use crds::k8s::{ByteString, ValidatingWebhookConfiguration};
use crds::names::{self, labels};
use crds::wanted::Wanted;
use serde_json::{Value, json};

use super::children::{self, fields};
use super::environment::gateway;
use super::{Valid, Watched, container};

/// Seconds until a review is given up, and the object let in.
const TIMEOUT: u32 = 5;
/// Class of a Kong Ingress Controller that is told none.
const CLASS: &str = "kong";

/// By what the API server tells whose an object is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    /// Nothing: any that watches the namespace may use it.
    By,
    /// The Gateways that it names.
    ByParents,
    /// The class that it names.
    ByClass,
    /// The class in its annotation.
    ByAnnotation,
    /// A label that it has.
    ByLabel(&'static str),
}

struct Asked {
    name: &'static str,
    group: &'static str,
    versions: &'static [&'static str],
    resource: &'static str,
    since: [u64; 3],
    told: Told,
}

const KONG: &str = "configuration.konghq.com";
const ALWAYS: [u64; 3] = [0, 0, 0];

const ASKED: &[Asked] = &[
    asked("httproutes", "gateway.networking.k8s.io", &["v1", "v1beta1"], Told::ByParents),
    asked("ingresses", "networking.k8s.io", &["v1"], Told::ByClass),
    asked("kongclusterplugins", KONG, &["v1"], Told::ByAnnotation),
    asked("kongconsumergroups", KONG, &["v1beta1"], Told::ByAnnotation),
    asked("kongconsumers", KONG, &["v1"], Told::ByAnnotation),
    Asked { since: [3, 2, 0], ..asked("kongcustomentities", KONG, &["v1alpha1"], Told::By) },
    asked("kongingresses", KONG, &["v1"], Told::By),
    asked("kongplugins", KONG, &["v1"], Told::By),
    Asked { since: [3, 1, 0], ..asked("kongvaults", KONG, &["v1alpha1"], Told::ByAnnotation) },
    Asked {
        resource: "secrets",
        ..asked("secrets.credentials", "", &["v1"], Told::ByLabel("konghq.com/credential"))
    },
    Asked {
        resource: "secrets",
        ..asked("secrets.plugins", "", &["v1"], Told::ByLabel("konghq.com/validate"))
    },
    asked("services", "", &["v1"], Told::By),
];

const fn asked(
    name: &'static str,
    group: &'static str,
    versions: &'static [&'static str],
    told: Told,
) -> Asked {
    Asked { name, group, versions, resource: name, since: ALWAYS, told }
}

/// The configuration; `authority` vouches for the webhook's certificate.
pub fn configuration(valid: &Valid<'_>, authority: &str) -> Wanted<ValidatingWebhookConfiguration> {
    let identity = &valid.identity;
    let known = ASKED.iter().filter(|asked| valid.version.may_have(asked.since));
    let webhooks: Vec<Value> = known.map(|asked| webhook(valid, asked, authority)).collect();
    let name = names::controller_abroad(identity.namespace, identity.name);
    Wanted::new(name, children::abroad(identity, None), fields([("webhooks", json!(webhooks))]))
}

fn webhook(valid: &Valid<'_>, asked: &Asked, authority: &str) -> Value {
    let identity = &valid.identity;
    let service = json!({
        "name": names::controller_webhook(identity.name),
        "namespace": identity.namespace,
        "port": 443,
    });
    let mut webhook = json!({
        "admissionReviewVersions": ["v1"],
        "clientConfig": { "caBundle": ByteString(authority.as_bytes().to_vec()), "service": service },
        // Whoever edits a Service must not have to wait for a Kong Ingress Controller that is not there.
        "failurePolicy": "Ignore",
        "matchPolicy": "Equivalent",
        "name": format!("{}.validation.ingress-controller.konghq.com", asked.name),
        "namespaceSelector": namespaces(&valid.watched),
        "rules": [{
            "apiGroups": [asked.group],
            "apiVersions": asked.versions,
            "operations": ["CREATE", "UPDATE"],
            "resources": [asked.resource],
        }],
        "sideEffects": "None",
        "timeoutSeconds": TIMEOUT,
    });
    if let Some(webhook) = webhook.as_object_mut() {
        if let Some((label, operator)) = labelled(asked) {
            let expressions = json!([{ "key": label, "operator": operator }]);
            webhook.insert("objectSelector".into(), json!({ "matchExpressions": expressions }));
        }
        if let Some(expression) = condition(valid, asked.told) {
            let own = json!([{ "name": "its-own", "expression": expression }]);
            webhook.insert("matchConditions".into(), own);
        }
    }
    webhook
}

/// What labels tell of an object that it is asked about. The operator's own Services are nobody's backends: to ask every
/// Kong Ingress Controller about each of them would cost the more calls the more there are of both.
fn labelled(asked: &Asked) -> Option<(&'static str, &'static str)> {
    match asked.told {
        Told::ByLabel(label) => Some((label, "Exists")),
        Told::By if asked.resource == "services" => Some((labels::MANAGED_BY, "DoesNotExist")),
        _ => None,
    }
}

/// Never kube-system: what keeps a cluster alive must not wait for a Kong Ingress Controller.
fn namespaces(watched: &Watched) -> Value {
    let expression = |operator: &str, values: Value| json!([{ "key": "kubernetes.io/metadata.name", "operator": operator, "values": values }]);
    let expressions = match watched {
        Watched::Everywhere => expression("NotIn", json!(["kube-system"])),
        Watched::Only { namespaces, .. } => expression("In", json!(namespaces)),
    };
    json!({ "matchExpressions": expressions })
}

/// What is true of an object that may be its own, where it can be told.
fn condition(valid: &Valid<'_>, told: Told) -> Option<String> {
    match told {
        Told::By | Told::ByLabel(_) => None,
        Told::ByParents => {
            let (name, namespace) = (gateway(valid.identity.object)?, valid.identity.namespace);
            // A word that CEL keeps for itself is no field: it is asked for by its name.
            Some(format!(
                "has(object.spec.parentRefs) && object.spec.parentRefs.exists(p, p.name == '{name}' && ('namespace' in p ? p['namespace'] : object.metadata['namespace']) == '{namespace}')"
            ))
        }
        Told::ByClass => {
            let class = class(valid)?;
            let annotated = annotated(&class);
            Some(format!(
                "has(object.spec.ingressClassName) ? object.spec.ingressClassName == '{class}' : ({annotated})"
            ))
        }
        Told::ByAnnotation => Some(annotated(&class(valid)?)),
    }
}

/// Without a class it is for whoever's class is the default one, which may be this one's.
fn annotated(class: &str) -> String {
    let key = "'kubernetes.io/ingress.class'";
    format!(
        "!has(object.metadata.annotations) || !({key} in object.metadata.annotations) || object.metadata.annotations[{key}] == '{class}'"
    )
}

/// The class that it answers to, where it can be told and is a word that needs no quoting.
fn class(valid: &Valid<'_>) -> Option<String> {
    let environment = || -> Option<&str> {
        let variables = container::controller(&valid.template)?.get("env").and_then(Value::as_array)?;
        let given =
            variables.iter().any(|variable| variable.get("name") == Some(&json!("CONTROLLER_INGRESS_CLASS")));
        if given { container::value(&valid.template, "CONTROLLER_INGRESS_CLASS") } else { Some(CLASS) }
    };
    let class = environment()?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._/".contains(c);
    class.chars().all(is_plain).then(|| class.to_owned())
}
