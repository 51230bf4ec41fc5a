//! The first corpus of each target: the cases of the admission suite.
//!
//! In: `tests/tests/admission/cases`. Out: a file per case in `fuzz/corpus/TARGET`, where there is none yet. Never: a
//! change of a corpus that is there.

use std::error::Error;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use webhooks::routes::ROUTES;

/// What a target reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The number of a route, then a review.
    ReviewBytes,
    /// A `DataPlane`.
    DataPlane,
}

/// Fills an empty corpus.
///
/// # Panics
/// When a case cannot be read, or the corpus cannot be written.
pub fn plant(target: Target) {
    if let Err(error) = planted(target) {
        panic!("no seeds for {target:?}: {error}");
    }
}

fn planted(target: Target) -> Result<(), Box<dyn Error>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = here.join("corpus").join(match target {
        Target::ReviewBytes => "review_bytes",
        Target::DataPlane => "dataplane",
    });
    fs::create_dir_all(&folder)?;
    if fs::read_dir(&folder)?.next().is_some() {
        return Ok(());
    }
    for file in fs::read_dir(here.join("../tests/tests/admission/cases"))? {
        let cases: Vec<Value> = serde_saphyr::from_str(&fs::read_to_string(file?.path())?)?;
        for case in cases {
            let name = case["name"].as_str().ok_or("a case has a name")?;
            let name = name.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
            for (index, seed) in seeds(target, &case).into_iter().enumerate() {
                fs::write(folder.join(format!("{name}-{index}")), seed)?;
            }
        }
    }
    Ok(())
}

fn seeds(target: Target, case: &Value) -> Vec<Vec<u8>> {
    let object = &case["object"];
    if target == Target::DataPlane {
        let is_one = object["kind"] == "DataPlane";
        return is_one.then(|| object.to_string().into_bytes()).into_iter().collect();
    }
    let routes = ROUTES.iter().zip(0_u8..).filter(|(route, _)| object["kind"] == route.kind.name());
    routes
        .map(|(route, number)| {
            let resource = route.kind.resource();
            let review = review(object, &case["old"], resource.group, resource.version);
            std::iter::once(number).chain(review.to_string().bytes()).collect()
        })
        .collect()
}

fn review(object: &Value, old: &Value, group: &str, version: &str) -> Value {
    let mut whole = object.clone();
    whole["apiVersion"] = json!(format!("{group}/{version}"));
    if !whole["metadata"].is_object() {
        whole["metadata"] = json!({ "name": "seed", "namespace": "fuzz" });
    }
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "0e5b7b0c-8a3e-4b8e-9d58-5f3d6d7a5f10",
            "kind": { "group": group, "version": version, "kind": object["kind"] },
            "operation": if old.is_null() { "CREATE" } else { "UPDATE" },
            "name": "seed",
            "namespace": "fuzz",
            "object": whole,
            "oldObject": old,
        },
    })
}
