//! Work that goes on when its caller hangs up: what was begun under one consent is not left half done for that.

use crate::problem::Problem;
use axum::http::StatusCode;
use std::future::Future;

/// Runs `work` to its end, whether or not anybody still waits for it.
pub(crate) async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, Problem>> + Send + 'static,
) -> Result<T, Problem> {
    match tokio::spawn(work).await {
        Ok(done) => done,
        Err(_) => Err(Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "broken_off",
            "it did not end well; history says what was done",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::poll;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn it_goes_on_when_the_caller_hangs_up() {
        let ((go, gone), (tell, told)) = (oneshot::channel::<()>(), oneshot::channel::<()>());
        let mut asked = Box::pin(to_its_end(async move {
            gone.await.unwrap();
            tell.send(()).unwrap();
            Ok(())
        }));
        assert!(poll!(&mut asked).is_pending());
        drop(asked);
        go.send(()).unwrap();
        told.await.unwrap();
    }
}
