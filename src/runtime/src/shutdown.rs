//! One signal handler for the process: SIGTERM or SIGINT asks it to end, a second one aborts it.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Exit code after a second signal: 128 plus SIGTERM's number, as a shell reports it.
const ABORTED: i32 = 143;

/// Returns a token that is cancelled by the first SIGTERM or SIGINT.
///
/// # Errors
/// When the signal handlers cannot be installed.
pub fn on_signal() -> std::io::Result<CancellationToken> {
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    let stop = CancellationToken::new();
    let token = stop.clone();
    tokio::spawn(async move {
        let name = either(&mut term, &mut int).await;
        tracing::info!(signal = name, "stopping");
        token.cancel();
        let name = either(&mut term, &mut int).await;
        tracing::warn!(signal = name, "second signal, aborting");
        std::process::exit(ABORTED);
    });
    Ok(stop)
}

async fn either(term: &mut Signal, int: &mut Signal) -> &'static str {
    tokio::select! {
        _ = term.recv() => "SIGTERM",
        _ = int.recv() => "SIGINT",
    }
}
