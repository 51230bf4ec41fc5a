//! What `silverback doctor` says of an installation that is well, and of one that is not.

use anyhow::{Context, Result, ensure};
use crds::DataPlane;
use crds::names::NAMESPACE;
use kube::api::{Api, DeleteParams};
use serde_json::{Value, json};
use tests::install;
use tests::world::Scenario;
use tests::{artifacts, wait};

use crate::deployed;

/// The code of its exit, and what it printed.
async fn said(s: &Scenario, more: &[&str]) -> Result<(Option<i32>, String)> {
    let output = s.world.cluster.command(artifacts::operator()?)?.arg("doctor").args(more).output().await?;
    Ok((output.status.code(), String::from_utf8(output.stdout)?))
}

pub async fn it_names_what_is_wrong_and_the_remedy(s: Scenario) -> Result<()> {
    let _turn = deployed(&s.world).await?;
    install::strict(&s.world.client).await?;
    let (code, text) = said(&s, &[]).await?;
    ensure!(code == Some(0) && text.contains(" 0 wrong, 0 not known"), "{code:?}\n{text}");
    eprintln!("{text}");

    a_pod_without_its_image(&s).await?;
    nobody_answers(&s).await
}

/// The cause is the lowest link of the chain.
async fn a_pod_without_its_image(s: &Scenario) -> Result<()> {
    let container = json!({ "name": "proxy", "image": "localhost/nobody/has-this:3.9" });
    let spec = json!({ "deployment": { "podTemplateSpec": { "spec": { "containers": [container] } } } });
    s.dataplane("broken", spec).await?;
    let waited = async {
        loop {
            let (code, text) = said(s, &[]).await?;
            if code == Some(1) && text.contains("ImagePull") {
                return anyhow::Ok(text);
            }
        }
    };
    let text = tokio::time::timeout(crate::GONE, waited).await.context("the image is not named")??;
    ensure!(text.contains(&format!("WRONG DataPlane {}/broken: Ready is False", s.namespace)), "{text}");
    let (code, text) = said(s, &["--output", "json"]).await?;
    let findings: Vec<Value> = serde_json::from_str(&text)?;
    let wrong: Vec<_> = findings.iter().filter(|finding| finding["verdict"] == "wrong").collect();
    ensure!(code == Some(1) && wrong.len() == 1, "{code:?} {wrong:?}");
    let api: Api<DataPlane> = s.api();
    api.delete("broken", &DeleteParams::default()).await?;
    wait::gone(&api, "broken", crate::GONE).await
}

/// Without pods nobody answers and nobody leads.
async fn nobody_answers(s: &Scenario) -> Result<()> {
    let scale =
        |replicas: &'static str| ["scale", "deployment/silverback", "--namespace", NAMESPACE, replicas];
    let before = install::pods(&s.world.client).await?;
    install::run(s.world.cluster.kubectl()?.args(scale("--replicas=0"))).await?;
    for pod in &before {
        crate::gone(s, pod).await?;
    }
    let (code, text) = said(s, &[]).await?;
    install::run(s.world.cluster.kubectl()?.args(scale("--replicas=2"))).await?;
    install::rolled(&s.world.client).await?;
    for words in ["WRONG operator: 0 of 0 replicas", "WRONG lease: ", "WRONG webhooks: "] {
        ensure!(code == Some(1) && text.contains(words), "{code:?}, no {words:?} in\n{text}");
    }
    Ok(())
}
