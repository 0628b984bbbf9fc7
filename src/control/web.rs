//! The web part: `/health`, `/api/status`, `/metrics` and a page with links. It reads and never changes anything.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State as Shared;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Json, Response};
use axum::routing::get;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::bounded::Bounded;
use super::socket::ask;
use super::status::{State, Status};
use super::{Command, Operator, Reply, metrics};

/// A server that does not tell its status by then is not healthy.
const PATIENCE: Duration = Duration::from_secs(2);
/// Connections at the same time.
const CONNECTIONS: usize = 64;
/// How long a connection lasts, with all its requests; each is answered within the patience above.
const LIFETIME: Duration = Duration::from_secs(10);
const NO_ANSWER: &str = "the server does not answer";

/// Serves the web part for ever, to a bounded number of clients for a bounded time each; dropping the future closes it.
///
/// # Errors
/// Those of the listener.
pub async fn serve(listener: TcpListener, operator: Arc<dyn Operator>) -> io::Result<()> {
    axum::serve(Bounded::new(listener, CONNECTIONS, LIFETIME), routes(operator)).await
}

fn routes(operator: Arc<dyn Operator>) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/health", get(health))
        .route("/api/status", get(status))
        .route("/metrics", get(show_metrics))
        .fallback(nothing)
        .with_state(operator)
}

/// What `/health` says.
#[derive(Debug, Serialize)]
struct Health {
    healthy: bool,
    state: Option<State>,
    reason: String,
}

async fn page() -> Html<&'static str> {
    Html(include_str!("page.html"))
}

async fn health(Shared(operator): Shared<Arc<dyn Operator>>) -> Response {
    let status = ask_status(operator.as_ref()).await;
    let health = match status.map(|status| serde_json::from_str::<Status>(status.get())) {
        Ok(Ok(status)) => Health {
            healthy: status.state.is_healthy(),
            state: Some(status.state),
            reason: status.reason,
        },
        Ok(Err(error)) => unknown(error.to_string()),
        Err(why) => unknown(why),
    };
    let code = if health.healthy {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (code, [(header::CACHE_CONTROL, "no-store")], Json(health)).into_response()
}

fn unknown(reason: String) -> Health {
    Health {
        healthy: false,
        state: None,
        reason,
    }
}

async fn status(Shared(operator): Shared<Arc<dyn Operator>>) -> Response {
    let no_store = [(header::CACHE_CONTROL, "no-store")];
    match ask_status(operator.as_ref()).await {
        Ok(status) => (no_store, Json(status)).into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, no_store, why).into_response(),
    }
}

async fn show_metrics(Shared(operator): Shared<Arc<dyn Operator>>) -> Response {
    let (reply, answer) = oneshot::channel();
    operator.measure(reply);
    match timeout(PATIENCE, answer).await {
        Ok(Ok(measured)) => ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], metrics::render(&measured)).into_response(),
        Ok(Err(_)) | Err(_) => (StatusCode::SERVICE_UNAVAILABLE, NO_ANSWER).into_response(),
    }
}

async fn nothing() -> Response {
    let text = "nothing here: try /, /health, /api/status or /metrics\n";
    (StatusCode::NOT_FOUND, text).into_response()
}

async fn ask_status(operator: &dyn Operator) -> Reply {
    let late = |_| Err(NO_ANSWER.to_owned());
    timeout(PATIENCE, ask(operator, Command::Status)).await.unwrap_or_else(late)
}
