//! The annotation by which a user has the Services of a `DataPlane` select other pods.
//!
//! In: a `DataPlane`. Out: the labels that its Services select instead, or what is wrong with the annotation.

use std::collections::BTreeMap;

use crds::DataPlane;
use crds::names::annotations::SELECTOR_OVERRIDE;

use crate::invalid::Problem;

/// The labels that the user wants, `None` where the annotation is absent.
pub fn overridden(object: &DataPlane) -> Result<Option<BTreeMap<String, String>>, Problem> {
    let Some(text) = object.metadata.annotations.as_ref().and_then(|all| all.get(SELECTOR_OVERRIDE)) else {
        return Ok(None);
    };
    let pairs: Option<BTreeMap<_, _>> = text.split(',').map(pair).collect();
    pairs.map(Some).ok_or_else(|| {
        let message =
            format!("{text:?} is no list of labels: write it as \"key=value,key2=value2\", or remove it");
        Problem::at(format!("metadata.annotations[{SELECTOR_OVERRIDE}]"), message)
    })
}

fn pair(text: &str) -> Option<(String, String)> {
    let (key, value) = text.trim().split_once('=')?;
    let label = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    let key_like =
        |key: &str| !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c));
    (key_like(key) && label(value)).then(|| (key.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(text: Option<&str>) -> Result<Option<BTreeMap<String, String>>, Problem> {
        let annotations = text.map(|text| json!({ SELECTOR_OVERRIDE: text }));
        let object = json!({"metadata": {"name": "x", "annotations": annotations}, "spec": {}});
        overridden(&serde_json::from_value(object).unwrap())
    }

    #[test]
    fn labels_are_read_and_nonsense_is_named() {
        assert_eq!(read(None), Ok(None));
        let labels = read(Some("app=other, example.com/x=y")).unwrap().unwrap();
        assert_eq!(
            labels.into_iter().collect::<Vec<_>>(),
            [("app".into(), "other".into()), ("example.com/x".into(), "y".into())]
        );
        for nonsense in ["", "app", "app=a,", "=x", "app=a b"] {
            let problem = read(Some(nonsense)).unwrap_err();
            assert!(
                problem.path.contains("service-selector-override") && problem.message.contains("key=value")
            );
        }
    }
}
