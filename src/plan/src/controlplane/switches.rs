//! Kong's own kinds, each of which Kong Ingress Controller watches unless it is told not to.
//!
//! In: the version, and which definitions are installed. Out: the variables that turn off what has no definition: a kind
//! that it watches and nobody serves ends it after two minutes.

use std::collections::BTreeSet;

use super::version::Version;

/// A variable, the definitions without which it is set, and the version it came with.
struct Switch {
    variable: &'static str,
    definitions: &'static [&'static str],
    since: [u64; 3],
}

/// Definitions of Kong's own kinds that Kong Ingress Controller may watch.
pub const DEFINITIONS: &[&str] = &[
    "ingressclassparameterses.configuration.konghq.com",
    "kongclusterplugins.configuration.konghq.com",
    "kongconsumergroups.configuration.konghq.com",
    "kongconsumers.configuration.konghq.com",
    "kongcustomentities.configuration.konghq.com",
    "kongingresses.configuration.konghq.com",
    "konglicenses.configuration.konghq.com",
    "kongplugins.configuration.konghq.com",
    "kongupstreampolicies.configuration.konghq.com",
    "kongvaults.configuration.konghq.com",
    "tcpingresses.configuration.konghq.com",
    "udpingresses.configuration.konghq.com",
];

/// The oldest version that is provisioned has all before it.
const ALWAYS: [u64; 3] = [0, 0, 0];

const SWITCHES: &[Switch] = &[
    switch("INGRESS_CLASS_PARAMETERS", &["ingressclassparameterses.configuration.konghq.com"], ALWAYS),
    switch("KONGCLUSTERPLUGIN", &["kongclusterplugins.configuration.konghq.com"], ALWAYS),
    switch(
        "KONGCONSUMER",
        &["kongconsumergroups.configuration.konghq.com", "kongconsumers.configuration.konghq.com"],
        ALWAYS,
    ),
    switch("KONGINGRESS", &["kongingresses.configuration.konghq.com"], ALWAYS),
    switch("KONGPLUGIN", &["kongplugins.configuration.konghq.com"], ALWAYS),
    switch("KONG_CUSTOM_ENTITY", &["kongcustomentities.configuration.konghq.com"], [3, 2, 0]),
    switch("KONG_LICENSE", &["konglicenses.configuration.konghq.com"], [3, 1, 0]),
    switch("KONG_UPSTREAM_POLICY", &["kongupstreampolicies.configuration.konghq.com"], ALWAYS),
    switch("KONG_VAULT", &["kongvaults.configuration.konghq.com"], [3, 1, 0]),
    switch("TCPINGRESS", &["tcpingresses.configuration.konghq.com"], ALWAYS),
    switch("UDPINGRESS", &["udpingresses.configuration.konghq.com"], ALWAYS),
];

const fn switch(variable: &'static str, definitions: &'static [&'static str], since: [u64; 3]) -> Switch {
    Switch { variable, definitions, since }
}

/// The variables that are set to `false`.
pub fn off(version: Version, installed: &BTreeSet<String>) -> impl Iterator<Item = String> {
    let known = SWITCHES.iter().filter(move |switch| version.may_have(switch.since));
    let lacking = known.filter(|switch| switch.definitions.iter().any(|name| !installed.contains(*name)));
    lacking.map(|switch| format!("CONTROLLER_ENABLE_CONTROLLER_{}", switch.variable))
}

/// The definitions that are missing, by name.
pub fn missing(version: Version, installed: &BTreeSet<String>) -> Vec<String> {
    let known = SWITCHES.iter().filter(|switch| version.may_have(switch.since));
    let all = known.flat_map(|switch| switch.definitions);
    all.filter(|name| !installed.contains(**name)).map(|name| (*name).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_definition_is_off() {
        let all: BTreeSet<String> = DEFINITIONS.iter().map(|name| (*name).to_owned()).collect();
        let newest = Version::Known([3, 5, 13]);
        assert_eq!(off(newest, &all).count(), 0);
        assert_eq!(missing(newest, &all), [] as [&str; 0]);
        let mut fewer = all.clone();
        fewer.remove("kongconsumergroups.configuration.konghq.com");
        fewer.remove("kongcustomentities.configuration.konghq.com");
        assert_eq!(
            off(newest, &fewer).collect::<Vec<_>>(),
            ["CONTROLLER_ENABLE_CONTROLLER_KONGCONSUMER", "CONTROLLER_ENABLE_CONTROLLER_KONG_CUSTOM_ENTITY"]
        );
        assert_eq!(missing(newest, &fewer).len(), 2);
        let old = Version::Known([3, 1, 2]);
        assert_eq!(missing(old, &fewer).len(), 1, "3.1 knows no KongCustomEntity");
        assert_eq!(off(newest, &BTreeSet::new()).count(), SWITCHES.len());
        assert!(SWITCHES.iter().flat_map(|s| s.definitions).all(|name| DEFINITIONS.contains(name)));
    }
}
