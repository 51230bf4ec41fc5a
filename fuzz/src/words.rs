//! Words of manifests: names of fields, and values that mean something.
//!
//! In: the definitions. Out: every name in them, and some of pods. Never: a word that depends on the run.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde_json::Value;

static FIELDS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut names: BTreeSet<String> = POD.iter().map(|name| (*name).to_owned()).collect();
    for definition in
        crds::definitions().iter().filter_map(|definition| serde_json::to_value(definition).ok())
    {
        collect(&definition, &mut names);
    }
    names.into_iter().collect()
});

/// Names of fields.
pub fn fields() -> &'static [String] {
    &FIELDS
}

fn collect(schema: &Value, names: &mut BTreeSet<String>) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::Object(properties)) = members.get("properties") {
                names.extend(properties.keys().cloned());
            }
            members.values().for_each(|member| collect(member, names));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, names)),
        _ => {}
    }
}

/// Fields of pod templates, and directives of their merge.
const POD: &[&str] = &[
    "$patch",
    "$retainKeys",
    "affinity",
    "annotations",
    "args",
    "capabilities",
    "command",
    "configMap",
    "configMapKeyRef",
    "configMapRef",
    "containerPort",
    "containers",
    "drop",
    "emptyDir",
    "env",
    "envFrom",
    "exec",
    "hostNetwork",
    "httpGet",
    "image",
    "imagePullSecrets",
    "initContainers",
    "key",
    "labels",
    "lifecycle",
    "limits",
    "livenessProbe",
    "metadata",
    "mountPath",
    "name",
    "nodeSelector",
    "ports",
    "preStop",
    "prefix",
    "privileged",
    "projected",
    "protocol",
    "readOnlyRootFilesystem",
    "readinessProbe",
    "requests",
    "resources",
    "restartPolicy",
    "runAsUser",
    "secret",
    "secretKeyRef",
    "secretName",
    "secretRef",
    "securityContext",
    "serviceAccountName",
    "sleep",
    "sources",
    "spec",
    "startupProbe",
    "terminationGracePeriodSeconds",
    "tolerations",
    "topologyKey",
    "topologySpreadConstraints",
    "value",
    "valueFrom",
    "volumeMounts",
    "volumes",
    "whenUnsatisfiable",
];

/// Numbers at the ends of what is allowed.
pub const NUMBERS: &[f64] = &[
    -1.0,
    0.0,
    1.0,
    1.5,
    53.0,
    80.0,
    443.0,
    1024.0,
    8000.0,
    8100.0,
    8443.0,
    8444.0,
    30080.0,
    65535.0,
    65536.0,
    2147483647.0,
    2147483648.0,
    1e308,
];

/// Texts that some rule reads.
pub const VALUES: &[&str] = &[
    "",
    "proxy",
    "proxy-ssl",
    "metrics",
    "admin-ssl",
    "controller",
    "cluster-certificate",
    "kong-prefix",
    "tmp",
    "delete",
    "replace",
    "merge",
    "0.0.0.0:8000",
    "[::]:8443 ssl http2",
    "off",
    "0.0.0.0:8444 ssl",
    "127.0.0.1:8444",
    "0.0.0.0:9053 udp",
    "80:8000, 443:8443",
    "KONG_DATABASE",
    "KONG_PROXY_LISTEN",
    "KONG_STREAM_LISTEN",
    "KONG_ADMIN_LISTEN",
    "KONG_STATUS_LISTEN",
    "KONG_PORT_MAPS",
    "KONG_PREFIX",
    "KONG_DECLARATIVE_CONFIG",
    "/kong_prefix",
    "/var/cluster-certificate",
    "postgres",
    "kong:3.9",
    "kong:2.8",
    "registry.example.com:5000/kong",
    "kong@sha256:76c14b93e989f7f4418039f7f9789ca32564016211c86ac1a18022f4788e7b9c",
    "100m",
    "1Gi",
    "1e400",
    "-1",
    "50%",
    "150%",
    "99999999999999999999%",
    "LoadBalancer",
    "NodePort",
    "ClusterIP",
    "Local",
    "HTTP",
    "HTTPS",
    "TLS",
    "TCP",
    "UDP",
    "IPv4",
    "IPv6",
    "SingleStack",
    "PreferDualStack",
    "Resource",
    "Utilization",
    "AverageValue",
    "Always",
    "app=other",
    "a=b,,",
    "\u{0}",
    "\u{1F98D}",
    "kubernetes.io/hostname",
    "DoNotSchedule",
];
