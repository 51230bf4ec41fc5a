//! What Kong Ingress Controller may do.
//!
//! In: its version and the namespaces that it watches. Out: roles and bindings with the rights that this version needs
//! there, and none elsewhere: where it watches some namespaces it can read no other.

use std::collections::BTreeMap;

use crds::access::controller::{RULES, Reach, Rule};
use crds::k8s::{ClusterRole, Role};
use crds::names;
use crds::wanted::Wanted;
use serde_json::{Map, Value, json};

use super::children::{self, fields};
use super::{Access, Valid, Watched, container};

const GROUP: &str = "rbac.authorization.k8s.io";
const LEASES: &str = "leases";
const CLASS_STATUS: &str = "gatewayclasses/status";

/// Roles, bindings, and who is bound.
pub fn access(valid: &Valid<'_>) -> Access {
    let identity = &valid.identity;
    let everywhere = valid.watched == Watched::Everywhere;
    let here = names::controller(identity.name);
    let there = names::controller_abroad(identity.namespace, identity.name);
    let named = valid.template.pointer("/spec/serviceAccountName").and_then(Value::as_str);
    let who = named.unwrap_or(&here);
    let subject = json!([{ "kind": "ServiceAccount", "name": who, "namespace": identity.namespace }]);
    let bound = |kind: &str, role: &str| {
        let reference = json!({ "apiGroup": GROUP, "kind": kind, "name": role });
        fields([("roleRef", reference), ("subjects", subject.clone())])
    };
    let role = |name: &str, metadata: Map<String, Value>, rules: Value| -> Wanted<Role> {
        Wanted::new(name, metadata, fields([("rules", rules)]))
    };
    let (role_kind, cluster_kind) = (crds::k8s::kind::<Role>(), crds::k8s::kind::<ClusterRole>());
    let of_own = rules(valid, |reach| reach == Reach::Own || (reach == Reach::Watched && !everywhere));
    let of_all = rules(valid, |reach| reach == Reach::Cluster || (reach == Reach::Watched && everywhere));
    let abroad: BTreeMap<_, _> = valid
        .watched
        .abroad(identity.namespace)
        .into_iter()
        .map(|namespace| {
            let metadata = || children::abroad(identity, Some(namespace));
            let pair = (
                role(&there, metadata(), rules(valid, |reach| reach == Reach::Watched)),
                Wanted::new(&*there, metadata(), bound(&role_kind, &there)),
            );
            (namespace.to_owned(), pair)
        })
        .collect();
    Access {
        account: (who == here).then(|| children::account(identity)),
        own: (
            role(&here, children::metadata(identity), of_own),
            Wanted::new(&*here, children::metadata(identity), bound(&role_kind, &here)),
        ),
        cluster: (
            Wanted::new(&*there, children::abroad(identity, None), fields([("rules", of_all)])),
            Wanted::new(&*there, children::abroad(identity, None), bound(&cluster_kind, &there)),
        ),
        abroad,
    }
}

fn rules(valid: &Valid<'_>, holds: impl Fn(Reach) -> bool) -> Value {
    // Of a class of the operator's, the operator says whether it is accepted, and may say no; Kong Ingress Controller always
    // says yes, and both would take each other's word back for ever.
    let is_told = |rule: &Rule| rule.resources == [CLASS_STATUS] && !valid.has_class_of_its_own();
    let is_needed = |rule: &&Rule| holds(rule.reach) && valid.version.may_have(rule.since) && !is_told(rule);
    let needed = RULES.iter().filter(is_needed);
    needed
        .flat_map(|rule| rights(valid, rule))
        .chain(reviews(valid).filter(|_| holds(Reach::Cluster)))
        .collect()
}

/// Of leases only its own: another one's would keep that from configuring. To make one cannot be limited to a name.
fn rights(valid: &Valid<'_>, rule: &Rule) -> Vec<Value> {
    let given =
        |verbs: Vec<&str>| json!({ "apiGroups": [rule.group], "resources": rule.resources, "verbs": verbs });
    if rule.resources != [LEASES] {
        return vec![given(rule.verbs.to_vec())];
    }
    let election = valid.election();
    let (made, kept): (Vec<&str>, Vec<&str>) = rule.verbs.iter().partition(|verb| **verb == "create");
    let mut own = given(kept);
    if let (Some(election), Some(own)) = (election, own.as_object_mut()) {
        own.insert("resourceNames".into(), json!([election]));
    }
    vec![given(made), own]
}

/// Who may read its metrics is asked of the API server where a user wants that.
fn reviews(valid: &Valid<'_>) -> impl Iterator<Item = Value> + use<> {
    let asks = container::value(&valid.template, "CONTROLLER_METRICS_ACCESS_FILTER") == Some("rbac");
    let right = |group: &str, resource: &str| json!({ "apiGroups": [group], "resources": [resource], "verbs": ["create"] });
    let both = [
        right("authentication.k8s.io", "tokenreviews"),
        right("authorization.k8s.io", "subjectaccessreviews"),
    ];
    both.into_iter().filter(move |_| asks)
}
