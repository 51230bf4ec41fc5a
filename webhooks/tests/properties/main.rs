//! What holds for every object, whatever somebody writes into it.

mod objects;
mod planes;

use crds::DataPlane;
use crds::k8s::{Deployment, HorizontalPodAutoscaler, PodDisruptionBudget, Service};
use objects::{anything, specification};
use plan::dataplane::{self, Certificate, Clients, Families, Settings};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use serde_json::{Value, json};
use webhooks::kinds::Judge;
use webhooks::world::Nothing;
use webhooks::{Kind, Subject, Verdict, default, judge};

fn kind() -> impl Strategy<Value = Kind> {
    prop::sample::select(&Kind::ALL[..])
}

fn judged(kind: Kind, object: &Value, old: Option<&Value>) -> Verdict {
    let settings = Settings::default();
    let judge_ = Judge { settings: &settings, controller: "konghq.com/gateway-operator", world: &Nothing };
    judge(&Subject { kind, object, old }, &judge_)
}

/// Whether everything in `before` is in `after` as it was; `null` is what nobody wrote.
fn is_kept(before: &Value, after: &Value) -> bool {
    match (before, after) {
        (Value::Null, _) => true,
        (Value::Object(before), Value::Object(after)) => before
            .iter()
            .all(|(name, value)| after.get(name).map_or(value.is_null(), |kept| is_kept(value, kept))),
        (before, after) => before == after,
    }
}

fn dataplane(spec: &Value) -> Value {
    json!({ "metadata": { "name": "edge", "namespace": "team", "uid": "u" }, "spec": spec })
}

/// Makes every object that there would be; each is read back as Kubernetes' type.
fn provision(object: &DataPlane) -> Result<(), TestCaseError> {
    let settings = Settings::default();
    let valid =
        dataplane::valid(&settings, object).map_err(|error| TestCaseError::fail(error.to_string()))?;
    let clients = Clients { certificate: "A".into(), key: "K".into(), trusted: "A".into() };
    let certificate = Certificate { chain: "C".into(), key: "K".into(), authority: "A".into(), clients };
    let network = valid.network(&certificate);
    let workload = valid.workload(&certificate, Families::default());
    let failed = |error: serde_json::Error| TestCaseError::fail(error.to_string());
    let deployment: Deployment =
        serde_json::from_value(workload.deployment.body().clone()).map_err(failed)?;
    serde_json::from_value::<Service>(network.ingress.body().clone()).map_err(failed)?;
    if let Some(autoscaler) = workload.autoscaler {
        serde_json::from_value::<HorizontalPodAutoscaler>(autoscaler.body().clone()).map_err(failed)?;
    }
    if let Some(budget) = network.disruption_budget {
        serde_json::from_value::<PodDisruptionBudget>(budget.body().clone()).map_err(failed)?;
    }
    let pod = deployment.spec.and_then(|spec| spec.template.spec).unwrap_or_default();
    prop_assert!(
        pod.containers
            .iter()
            .all(|container| container.image.as_ref().is_some_and(|image| !image.is_empty()))
    );
    prop_assert!(pod.containers.iter().any(|container| container.name == "proxy"));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_written_is_judged_and_twice_the_same(kind in kind(), object in anything(), old in proptest::option::of(anything())) {
        let verdict = judged(kind, &object, old.as_ref());
        prop_assert_eq!(judged(kind, &object, old.as_ref()), verdict);
    }

    #[test]
    fn defaulting_only_adds_and_does_it_once(kind in kind(), object in prop_oneof![anything(), specification().prop_map(|spec| dataplane(&spec))]) {
        let mut once = object.clone();
        default(kind, &mut once);
        prop_assert!(is_kept(&object, &once), "{object} became {once}");
        let mut twice = once.clone();
        default(kind, &mut twice);
        prop_assert_eq!(once, twice);
    }

    #[test]
    fn what_is_not_touched_is_not_refused(kind in kind(), object in anything()) {
        prop_assert!(judged(kind, &object, Some(&object)).allowed());
    }

    #[test]
    fn what_is_admitted_can_be_provisioned(spec in specification()) {
        let mut object = dataplane(&spec);
        default(Kind::DataPlane, &mut object);
        if judged(Kind::DataPlane, &object, None).allowed() {
            provision(&serde_json::from_value(object).map_err(|error| TestCaseError::fail(error.to_string()))?)?;
        }
    }
}

/// A property about what is admitted says nothing where nothing is.
#[test]
fn some_are_admitted_and_some_are_not() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let admitted = (0..400)
        .filter(|_| {
            let spec = specification().new_tree(&mut runner).unwrap().current();
            judged(Kind::DataPlane, &dataplane(&spec), None).allowed()
        })
        .count();
    assert!((20..380).contains(&admitted), "{admitted} of 400");
}
