//! Rotations under reviews that never pause, with two replicas.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use tests::reviews::Reviews;
use tests::world::Scenario;

use crate::handshakes::Handshakes;
use crate::stage::{Stage, is_settled, text};

/// Reviews a second.
const RATE: u32 = 40;
const LEAVES: usize = 1000;
const AUTHORITIES: usize = 20;

pub async fn a_thousand_rotations_fail_no_review(s: Scenario) -> Result<()> {
    let mut stage = Stage::take(&s).await?;
    stage.beside().await?;
    stage.beside().await?;
    stage.strict().await?;
    Reviews::answered(&s.world.cluster, &s.namespace).await?;
    let first = stage.at_rest().await?;
    let reviews = Reviews::begin(&s.world.cluster, &s.namespace, RATE).await?;
    let handshakes = Handshakes::begin(Arc::clone(&s.world), vec![9443, 9543]);
    let began = Instant::now();
    for _ in 0..AUTHORITIES {
        // Leaves change while authorities do.
        let mut all = vec!["authority"];
        all.resize(1 + LEAVES / AUTHORITIES, "leaf");
        stage.rotate(&all).await?;
        stage.secret(is_settled).await?;
    }
    let last = stage.at_rest().await?;
    let took = began.elapsed();
    let (answers, count) = (reviews.end().await?, handshakes.end().await?);
    println!(
        "{LEAVES} leaves and {AUTHORITIES} authorities in {took:.0?}: {}; {count} handshakes",
        answers.text()
    );
    // First: one that has ended answers nothing, and is no fault of a rotation.
    counted(&stage).await.with_context(|| stage.last_words())?;
    answers.all_good().with_context(|| stage.last_words())?;
    ensure!(text(&first, "ca.crt") != text(&last, "ca.crt"), "the authority is still the first one");
    stage.end().await
}

/// Fails unless the replicas counted what happened: one wrote it, and both show what was written.
async fn counted(stage: &Stage<'_>) -> Result<()> {
    let mut written = 0;
    for operator in &stage.operators {
        let metrics = operator.metrics(&stage.world.cluster).await?;
        let of = |result: &str| {
            let name =
                format!("silverback_certificate_rotations_total{{use=\"webhook\",result=\"{result}\"}} ");
            let line = metrics.lines().find_map(|line| line.strip_prefix(&name));
            line.and_then(|count| count.parse::<usize>().ok()).unwrap_or_default()
        };
        written += of("leaf");
        ensure!([0, AUTHORITIES].contains(&of("exchange")), "{metrics}");
        ensure!(of("loaded") >= LEAVES + AUTHORITIES, "a replica missed some: {metrics}");
        ensure!(of("refused") + of("error") == 0, "{metrics}");
    }
    ensure!(written == LEAVES, "{written} leaves were written");
    Ok(())
}
