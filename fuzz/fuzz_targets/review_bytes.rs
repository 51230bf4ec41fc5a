//! Arbitrary bytes as a review: whatever is posted, the answer is a review, with the uid of the request where it has one.
//!
//! In: a byte that chooses the route, then what is posted. Out: a panic where the answer is none.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use webhooks::review;
use webhooks::routes::ROUTES;

fuzz_target!(init: fuzz::seed::plant(fuzz::seed::Target::ReviewBytes), |data: &[u8]| {
    let Some((first, body)) = data.split_first() else { return };
    let Some(route) = ROUTES.get(usize::from(*first) % ROUTES.len()) else { return };
    let answer = review::answer(route, &fuzz::judge(), body).review;
    assert_eq!(answer["apiVersion"], "admission.k8s.io/v1");
    assert_eq!(answer["kind"], "AdmissionReview");
    let response = &answer["response"];
    let (Some(allowed), Some(uid)) = (response["allowed"].as_bool(), response["uid"].as_str()) else {
        panic!("no answer: {answer}")
    };
    if let Ok(posted) = serde_json::from_slice::<Value>(body)
        && let Some(asked) = posted.pointer("/request/uid").and_then(Value::as_str)
    {
        assert_eq!(uid, asked, "the uid was lost");
    }
    assert!(
        allowed || response["status"]["message"].as_str().is_some_and(|words| !words.is_empty()),
        "{answer}"
    );
    assert!(
        allowed || response["status"]["code"].as_u64().is_some_and(|code| (400..500).contains(&code)),
        "{answer}"
    );
    assert_eq!(response.get("patch").is_some(), response.get("patchType").is_some(), "{answer}");
    let again = review::answer(route, &fuzz::judge(), body).review;
    assert_eq!(answer, again, "asked twice");
});
