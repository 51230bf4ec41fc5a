//! `crds/yaml`: the custom resource definitions.
//!
//! In: `crds::definitions`. Out: one file for each, named by its plural. Never: a status.

use super::{File, yaml};

/// One file for each definition.
pub fn files() -> anyhow::Result<Vec<File>> {
    crds::definitions()
        .iter()
        .map(|definition| {
            let path = format!("crds/yaml/{}.yaml", definition.spec.names.plural);
            Ok(File::new(path, yaml::documents("", &[yaml::value(definition)?])?))
        })
        .collect()
}
