//! `manifests/rbac`: who the operator is and what it may do.
//!
//! In: `crds::access`. Out: namespace, service account, roles and bindings. Never: a right that is
//! not in the table.

use crds::access::controller::{self, RULES, Reach};
use crds::access::{GRANTS, Grant, Scope};
use crds::names::NAMESPACE;
use serde_json::{Value, json};

use super::{File, yaml};

/// What is applied in each watched namespace, in the place of `cluster.yaml`.
pub const NAMESPACED: &str = "manifests/rbac/namespaced";

const NAME: &str = "silverback";
/// How the folder of a watched namespace is used.
const EACH: &str =
    "# For each namespace of --watch-namespaces; a kustomization of its own sets `namespace`.\n";
const RBAC: &str = "rbac.authorization.k8s.io";
/// Who it is for.
const READER: &str =
    "# For whoever scrapes the operator: bind it to the service account of your Prometheus.\n";

/// All files of the folder; what is in `namespaced` takes the place of `cluster.yaml` where the operator watches
/// some namespaces only.
pub fn files() -> anyhow::Result<Vec<File>> {
    let identity = [namespace(), object("v1", "ServiceAccount")];
    let cluster = pair("Cluster", Scope::Watched, NAME);
    let unnamespaced = pair("Cluster", Scope::Cluster, "silverback-cluster-scoped");
    let own = pair("", Scope::Own, NAME).map(|object| within(object, NAMESPACE));
    let watched = pair("", Scope::Watched, NAME);
    let base = json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": ["role.yaml"],
    });
    Ok(vec![
        File::new(path("identity"), yaml::documents("", &identity)?),
        File::new(path("cluster"), yaml::documents(&reasons(Scope::Watched), &cluster)?),
        File::new(path("cluster-scoped"), yaml::documents(&reasons(Scope::Cluster), &unnamespaced)?),
        File::new(path("metrics-reader"), yaml::documents(READER, &[reader()])?),
        File::new(path("own-namespace"), yaml::documents(&reasons(Scope::Own), &own)?),
        File::new(path("namespaced/role"), yaml::documents(&reasons(Scope::Watched), &watched)?),
        File::new(path("namespaced/kustomization"), yaml::documents(EACH, &[base])?),
    ])
}

/// What the operator's guard of `/metrics` asks for.
pub fn reader() -> Value {
    let role = named(&format!("{RBAC}/v1"), "ClusterRole", "silverback-metrics-reader");
    with(role, "rules", json!([{ "nonResourceURLs": ["/metrics"], "verbs": ["get"] }]))
}

fn path(name: &str) -> String {
    format!("manifests/rbac/{name}.yaml")
}

fn grants(scope: Scope) -> impl Iterator<Item = &'static Grant> {
    GRANTS.iter().filter(move |grant| grant.scope == scope)
}

/// A role with the rights of a scope, and what binds it to the operator; `prefix` is that of their kinds.
fn pair(prefix: &str, scope: Scope, name: &str) -> [Value; 2] {
    let kind = format!("{prefix}Role");
    let role = named(&format!("{RBAC}/v1"), &kind, name);
    let subject = json!({ "kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE });
    let reference = json!({ "apiGroup": RBAC, "kind": kind, "name": name });
    let binding = named(&format!("{RBAC}/v1"), &format!("{kind}Binding"), name);
    let binding = with(with(binding, "roleRef", reference), "subjects", json!([subject]));
    [with(role, "rules", rules(scope)), binding]
}

pub fn rules(scope: Scope) -> Value {
    grants(scope).map(rule).chain(handed(scope).map(handed_rule)).collect()
}

/// What is handed on to Kong Ingress Controller: nobody can give what they do not have.
fn handed(scope: Scope) -> impl Iterator<Item = &'static controller::Rule> {
    RULES.iter().filter(move |rule| match rule.reach {
        Reach::Watched | Reach::Own => scope == Scope::Watched,
        Reach::Cluster => scope == Scope::Cluster,
    })
}

fn handed_rule(rule: &controller::Rule) -> Value {
    json!({ "apiGroups": [rule.group], "resources": rule.resources, "verbs": rule.verbs })
}

fn rule(grant: &Grant) -> Value {
    let rule = json!({ "apiGroups": [grant.group], "resources": [grant.resource], "verbs": grant.verbs });
    if grant.names.is_empty() { rule } else { with(rule, "resourceNames", json!(grant.names)) }
}

/// Why each right is there, as a comment.
fn reasons(scope: Scope) -> String {
    let own = grants(scope).map(|grant| format!("# {}: {}", grant.resource, grant.why));
    let handed = handed(scope).map(|rule| {
        format!("# {}: handed on to Kong Ingress Controller: {}", rule.resources.join(", "), rule.why)
    });
    own.chain(handed).collect::<Vec<_>>().join("\n") + "\n"
}

fn namespace() -> Value {
    // The namespace refuses pods that are less restricted than the operator's own.
    let labels = json!({ "pod-security.kubernetes.io/enforce": "restricted" });
    json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE, "labels": labels } })
}

fn object(version: &str, kind: &str) -> Value {
    within(named(version, kind, NAME), NAMESPACE)
}

fn named(version: &str, kind: &str, name: &str) -> Value {
    json!({ "apiVersion": version, "kind": kind, "metadata": { "name": name } })
}

fn within(mut object: Value, namespace: &str) -> Value {
    if let Some(metadata) = object.get_mut("metadata") {
        *metadata = with(metadata.take(), "namespace", json!(namespace));
    }
    object
}

fn with(mut object: Value, field: &str, value: Value) -> Value {
    if let Some(members) = object.as_object_mut() {
        members.insert(field.to_owned(), value);
    }
    object
}

#[cfg(test)]
mod tests {
    use crds::k8s;

    use super::*;

    fn documents(path: &str) -> Vec<Value> {
        let file = files().unwrap().into_iter().find(|file| file.path.ends_with(path)).unwrap();
        file.content.split("---\n").map(|text| serde_saphyr::from_str(text).unwrap()).collect()
    }

    fn rules_of(path: &str) -> Vec<k8s::PolicyRule> {
        serde_json::from_value(documents(path)[0]["rules"].clone()).unwrap()
    }

    #[test]
    fn roles_hold_the_table_and_nothing_else() {
        let roles = [
            ("rbac/cluster.yaml", Scope::Watched),
            ("cluster-scoped.yaml", Scope::Cluster),
            ("own-namespace.yaml", Scope::Own),
        ];
        let all = roles.map(|(path, _)| rules_of(path).len()).iter().sum::<usize>();
        assert_eq!(all, GRANTS.len() + RULES.len());
        for (path, scope) in roles {
            let written = rules_of(path);
            for (rule, grant) in written.iter().zip(grants(scope)) {
                assert_eq!(rule.api_groups.as_deref().unwrap(), [grant.group]);
                assert_eq!(rule.resources.as_deref().unwrap(), [grant.resource]);
                assert_eq!(rule.verbs, grant.verbs);
                assert_eq!(rule.resource_names.as_deref().unwrap_or_default(), grant.names);
            }
            for (rule, handed) in written.iter().skip(grants(scope).count()).zip(handed(scope)) {
                assert_eq!(rule.resources.as_deref().unwrap(), handed.resources);
                assert_eq!(rule.verbs, handed.verbs);
            }
        }
    }

    #[test]
    fn a_watched_namespace_gets_the_same_rights_wherever_it_is() {
        assert_eq!(rules_of("namespaced/role.yaml"), rules_of("rbac/cluster.yaml"));
        for object in documents("namespaced/role.yaml") {
            assert!(object["metadata"].get("namespace").is_none(), "{object}");
        }
    }

    #[test]
    fn bindings_join_the_account_with_its_roles() {
        let account = documents("identity.yaml").remove(1);
        for (file, kind) in [
            ("rbac/cluster.yaml", "ClusterRole"),
            ("cluster-scoped.yaml", "ClusterRole"),
            ("own-namespace.yaml", "Role"),
            ("namespaced/role.yaml", "Role"),
        ] {
            let (role, binding) = (documents(file).remove(0), documents(file).remove(1));
            assert_eq!(role["kind"], kind);
            assert_eq!(binding["kind"], format!("{kind}Binding"));
            assert_eq!(binding["roleRef"]["kind"], kind);
            assert_eq!(binding["roleRef"]["name"], role["metadata"]["name"]);
            assert_eq!(binding["subjects"][0]["name"], account["metadata"]["name"]);
            assert_eq!(binding["subjects"][0]["namespace"], account["metadata"]["namespace"]);
            assert_eq!(binding["metadata"].get("namespace"), role["metadata"].get("namespace"));
        }
    }
}
