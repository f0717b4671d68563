//! Ctrl-C and SIGTERM, heard once and remembered.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Whether the user wants to stop.
#[derive(Debug, Clone)]
pub struct Interrupt {
    raised: watch::Receiver<bool>,
}

impl Interrupt {
    /// Begins to listen; the process no longer dies of these signals.
    pub fn listen() -> std::io::Result<Self> {
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let (raise, raised) = watch::channel(false);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                raise.send_replace(true);
            }
        });
        Ok(Interrupt { raised })
    }

    /// Heard already.
    pub fn is_raised(&self) -> bool {
        *self.raised.borrow()
    }

    /// Waits for it.
    pub async fn raised(&self) {
        let mut raised = self.raised.clone();
        if raised.wait_for(|raised| *raised).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
