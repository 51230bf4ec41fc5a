//! Structured `DataPlane`s: defaults only add and settle at once, verdicts follow from the object alone, and what is
//! accepted can be provisioned.
//!
//! In: a manifest as JSON, changed field by field. Out: a panic where one of these does not hold.
#![no_main]

use crds::DataPlane;
use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use plan::dataplane::{Certificate, Clients, Families, Settings};
use serde_json::Value;
use webhooks::{Kind, Subject};

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    fuzz::mutate(data, size, max_size, seed)
});

fuzz_target!(init: fuzz::seed::plant(fuzz::seed::Target::DataPlane), |data: &[u8]| {
    let given = fuzz::object(data);
    let mut object = given.clone();
    webhooks::default(Kind::DataPlane, &mut object);
    assert!(is_within(&given, &object), "a default took something away:\n{given}\n{object}");
    let mut again = object.clone();
    webhooks::default(Kind::DataPlane, &mut again);
    assert_eq!(object, again, "defaults are not settled");

    let subject = Subject { kind: Kind::DataPlane, object: &object, old: None };
    let verdict = webhooks::judge(&subject, &fuzz::judge());
    assert_eq!(verdict, webhooks::judge(&subject, &fuzz::judge()), "judged twice");
    for problem in &verdict.problems {
        assert!(!problem.path.is_empty() && !problem.message.is_empty(), "{problem:?}");
    }
    let unchanged = Subject { old: Some(&object), ..subject };
    assert!(
        webhooks::judge(&unchanged, &fuzz::judge()).allowed(),
        "an object that did not change was refused"
    );
    // What does not decode, the schema refuses.
    if verdict.allowed()
        && let Ok(dataplane) = serde_json::from_value::<DataPlane>(object)
    {
        provisioned(&dataplane);
    }
});

fn provisioned(dataplane: &DataPlane) {
    let settings = Settings::default();
    let clients = Clients { certificate: "clients".into(), key: "key".into(), trusted: "clients".into() };
    let (chain, authority) = ("chain".into(), "authority".into());
    let certificate = Certificate { chain, key: "key".into(), authority, clients };
    match plan::dataplane::valid(&settings, dataplane) {
        Ok(valid) => {
            drop(valid.network(&certificate));
            drop(valid.workload(&certificate, Families::default()));
        }
        Err(problems) => panic!("accepted, but: {problems}\n{:?}", dataplane.spec),
    }
}

/// Whether everything in `small` is in `large` too; what is null is nothing.
fn is_within(small: &Value, large: &Value) -> bool {
    match (small, large) {
        (Value::Object(small), Value::Object(large)) => {
            small.iter().all(|(name, value)| large.get(name).is_some_and(|found| is_within(value, found)))
        }
        (Value::Null, _) => true,
        (small, large) => small == large,
    }
}
