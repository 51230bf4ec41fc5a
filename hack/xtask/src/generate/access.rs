//! `manifests/rbac`: who the operator is and what it may do.
//!
//! In: `crds::access`. Out: namespace, service account, roles and bindings. Never: a right that is
//! not in the table.

use crds::access::{GRANTS, Grant, Scope};
use crds::names::NAMESPACE;
use serde_json::{Value, json};

use super::{File, yaml};

const NAME: &str = "silverback";
const RBAC: &str = "rbac.authorization.k8s.io";

/// All files of the folder.
pub fn files() -> anyhow::Result<Vec<File>> {
    let identity = [namespace(), object("v1", "ServiceAccount")];
    let cluster = [
        with(object(&format!("{RBAC}/v1"), "ClusterRole"), "rules", rules(Scope::Watched)),
        binding("ClusterRoleBinding", "ClusterRole"),
    ];
    let own = [
        with(object(&format!("{RBAC}/v1"), "Role"), "rules", rules(Scope::Own)),
        binding("RoleBinding", "Role"),
    ];
    Ok(vec![
        File::new("manifests/rbac/identity.yaml", yaml::documents("", &identity)?),
        File::new("manifests/rbac/cluster.yaml", yaml::documents(&reasons(Scope::Watched), &cluster)?),
        File::new("manifests/rbac/own-namespace.yaml", yaml::documents(&reasons(Scope::Own), &own)?),
    ])
}

fn grants(scope: Scope) -> impl Iterator<Item = &'static Grant> {
    GRANTS.iter().filter(move |grant| grant.scope == scope)
}

fn rules(scope: Scope) -> Value {
    grants(scope)
        .map(|grant| json!({ "apiGroups": [grant.group], "resources": [grant.resource], "verbs": grant.verbs }))
        .collect()
}

/// Why each right is there, as a comment.
fn reasons(scope: Scope) -> String {
    let lines: Vec<_> = grants(scope).map(|grant| format!("# {}: {}", grant.resource, grant.why)).collect();
    lines.join("\n") + "\n"
}

fn namespace() -> Value {
    // The namespace refuses pods that are less restricted than the operator's own.
    let labels = json!({ "pod-security.kubernetes.io/enforce": "restricted" });
    json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE, "labels": labels } })
}

fn object(version: &str, kind: &str) -> Value {
    let mut metadata = json!({ "name": NAME });
    if !kind.starts_with("Cluster") {
        metadata = with(metadata, "namespace", json!(NAMESPACE));
    }
    json!({ "apiVersion": version, "kind": kind, "metadata": metadata })
}

fn binding(kind: &str, role: &str) -> Value {
    let subject = json!({ "kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE });
    let reference = json!({ "apiGroup": RBAC, "kind": role, "name": NAME });
    let binding = with(object(&format!("{RBAC}/v1"), kind), "roleRef", reference);
    with(binding, "subjects", json!([subject]))
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

    #[test]
    fn roles_hold_the_table_and_nothing_else() {
        let cluster: k8s::ClusterRole = serde_json::from_value(documents("cluster.yaml").remove(0)).unwrap();
        let own: k8s::Role = serde_json::from_value(documents("own-namespace.yaml").remove(0)).unwrap();
        let (cluster, own) = (cluster.rules.unwrap(), own.rules.unwrap());
        assert_eq!(cluster.len() + own.len(), GRANTS.len());
        for (rules, scope) in [(cluster, Scope::Watched), (own, Scope::Own)] {
            for (rule, grant) in rules.iter().zip(grants(scope)) {
                assert_eq!(rule.api_groups.as_deref().unwrap(), [grant.group]);
                assert_eq!(rule.resources.as_deref().unwrap(), [grant.resource]);
                assert_eq!(rule.verbs, grant.verbs);
            }
        }
    }

    #[test]
    fn bindings_join_the_account_with_its_roles() {
        let account = documents("identity.yaml").remove(1);
        for (file, kind) in [("cluster.yaml", "ClusterRole"), ("own-namespace.yaml", "Role")] {
            let (role, binding) = (documents(file).remove(0), documents(file).remove(1));
            assert_eq!(binding["roleRef"]["kind"], kind);
            assert_eq!(binding["roleRef"]["name"], role["metadata"]["name"]);
            assert_eq!(binding["subjects"][0]["name"], account["metadata"]["name"]);
            assert_eq!(binding["subjects"][0]["namespace"], account["metadata"]["namespace"]);
            assert_eq!(role["metadata"].get("namespace").is_some(), kind == "Role");
        }
    }
}
