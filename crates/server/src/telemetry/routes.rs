//! `/healthz`, `/readyz` and `/metrics`: no token, since orchestrators and Prometheus ask, and
//! nothing here is secret.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use serde_json::json;

use super::exposition::Exposition;
use super::kept::Kept;
use super::{Metrics, Readiness};

/// The three routes.
pub fn router(metrics: Arc<Metrics>, readiness: Readiness) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready).with_state(readiness))
        .route(
            "/metrics",
            get(show).with_state(Arc::new(Kept::new(metrics))),
        )
}

async fn ready(State(readiness): State<Readiness>) -> Response {
    let blocked_by = readiness.blocked_by();
    let status = if blocked_by.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let mut body = json!({ "ready": blocked_by.is_empty(), "blocked_by": blocked_by });
    let notes = readiness.notes();
    if !notes.is_empty() {
        body["notes"] = json!(notes);
    }
    (status, Json(body)).into_response()
}

async fn show(State(kept): State<Arc<Kept>>, headers: HeaderMap) -> Response {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok());
    let format = Exposition::asked_for(accept);
    match kept.text(format, Instant::now()).await {
        Ok(text) => ([(header::CONTENT_TYPE, format.content_type())], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn healthy_at_once_and_ready_when_nothing_blocks() {
        let readiness = Readiness::starting();
        let router = router(Arc::new(Metrics::new()), readiness.clone());
        assert_eq!(ask(&router, "/healthz").await.0, StatusCode::OK);
        let (status, body) = ask(&router, "/readyz").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(body, r#"{"blocked_by":{"start":"starting"},"ready":false}"#);
        readiness.clear("start");
        assert_eq!(ask(&router, "/readyz").await.0, StatusCode::OK);
    }

    #[tokio::test]
    async fn metrics_come_in_the_format_that_is_asked_for() {
        let router = router(Arc::new(Metrics::new()), Readiness::default());
        let rows = [
            ("text/plain", "text/plain; version=0.0.4", false),
            (
                "application/openmetrics-text",
                "application/openmetrics-text",
                true,
            ),
        ];
        for (accept, kind, has_end) in rows {
            let request = Request::get("/metrics")
                .header(header::ACCEPT, accept)
                .body(Body::empty())
                .unwrap();
            let response = router.clone().oneshot(request).await.unwrap();
            assert_eq!(response.status(), StatusCode::OK);
            let told = response.headers()[header::CONTENT_TYPE].to_str().unwrap();
            assert!(told.starts_with(kind), "{told}");
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(body.ends_with(b"# EOF\n"), has_end, "{accept}");
        }
    }

    async fn ask(router: &Router, path: &str) -> (StatusCode, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }
}
