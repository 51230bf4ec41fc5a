//! Feature gates by release.
//! In: a release and `name=bool` pairs. Out: which gates are open. A name that the release does not know is an error,
//! in every release.

use std::collections::BTreeMap;

use super::values;
use crate::version::Release;

/// Gates of a release and whether they are open by default.
fn known(release: Release) -> BTreeMap<&'static str, bool> {
    let mut gates = BTreeMap::from([("GatewayAlpha", false), ("FillIDs", true), ("RewriteURIs", false)]);
    if release.since(1, 0) {
        gates.extend([("KongServiceFacade", false), ("SanitizeKonnectConfigDumps", true)]);
    }
    if release.since(2, 0) {
        gates.extend([("FallbackConfiguration", false), ("KongCustomEntity", release.since(3, 0))]);
    }
    if release.since(4, 0) && !release.since(5, 0) {
        gates.insert("CombinedServicesFromDifferentHTTPRoutes", false);
    }
    gates
}

/// Reads `A=true,B=false`.
pub fn read(release: Release, text: &str) -> Result<BTreeMap<&'static str, bool>, String> {
    let mut gates = known(release);
    for pair in values::list(text) {
        let (name, value) = pair.split_once('=').unwrap_or((&pair, ""));
        let value = values::truth(value)
            .ok_or_else(|| format!("invalid value of feature gate {name:?}: {value:?}"))?;
        let gate = gates.get_mut(name).ok_or_else(|| {
            format!("failed to configure feature gates: {name} is not a valid feature, please see the documentation: \
                     https://github.com/Kong/kubernetes-ingress-controller/blob/main/FEATURE_GATES.md")
        })?;
        *gate = value;
    }
    Ok(gates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_is_bound_to_its_releases() {
        let gate = "CombinedServicesFromDifferentHTTPRoutes=true";
        assert!(read(Release(3, 4, 8), gate).unwrap()["CombinedServicesFromDifferentHTTPRoutes"]);
        assert!(read(Release(3, 5, 13), gate).is_err());
        assert!(read(Release(3, 1, 6), "FallbackConfiguration=true").is_err());
        assert!(!read(Release(3, 5, 13), "").unwrap()["FallbackConfiguration"]);
    }

    #[test]
    fn a_gate_needs_a_value() {
        assert!(read(Release(3, 5, 13), "GatewayAlpha").is_err());
    }
}
