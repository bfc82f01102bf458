//! Errors as problem documents (RFC 9457) with a stable code.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use skein_protocol::api::ProblemDocument;
use skein_protocol::policy::PolicyError;
use skein_protocol::problem::{Code, Problem};

use crate::core::DocumentError;
use crate::ledger::LedgerError;

/// The media type of problem documents.
pub(super) const PROBLEM_MEDIA_TYPE: &str = "application/problem+json";

/// A refused or failed call.
#[derive(Debug)]
pub(super) struct ApiError {
    pub(super) status: StatusCode,
    problem: Problem,
    errors: Vec<PolicyError>,
}

impl ApiError {
    /// The request itself is wrong.
    pub(super) fn invalid(what: impl Into<String>, why: impl Into<String>, next: impl Into<String>) -> Self {
        Problem::new(Code::RequestInvalid, what, why, next).into()
    }

    pub(super) fn not_found(what: impl Into<String>, next: impl Into<String>) -> Self {
        Problem::new(Code::NotFound, what, "there is none", next).into()
    }

    /// A policy document with errors.
    pub(super) fn policy(errors: Vec<PolicyError>) -> Self {
        let count = errors.len();
        let first = errors.first().map(ToString::to_string).unwrap_or_default();
        let why = if count == 1 { first } else { format!("{count} errors; the first: {first}") };
        let problem =
            Problem::new(Code::PolicyInvalid, "the policy", why, "correct the document; `skein lint` checks it");
        Self { errors, ..problem.into() }
    }

    pub(super) fn into_problem(self) -> Problem {
        self.problem
    }

    pub(super) fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }
}

fn status_of(code: Code) -> StatusCode {
    match code {
        Code::RequestInvalid => StatusCode::BAD_REQUEST,
        Code::Unauthorized => StatusCode::UNAUTHORIZED,
        Code::JoinRefused | Code::Forbidden => StatusCode::FORBIDDEN,
        Code::NotFound | Code::NodeUnknown => StatusCode::NOT_FOUND,
        Code::WrongPhase | Code::PlanChanged | Code::Stale | Code::TargetCollision | Code::NodeRemoved => {
            StatusCode::CONFLICT
        }
        Code::LedgerUnavailable
        | Code::ShuttingDown
        | Code::NoSession
        | Code::NodeBusy
        | Code::AuthorityUnavailable
        | Code::ConnectionResting => StatusCode::SERVICE_UNAVAILABLE,
        Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        Code::CatalogUnavailable | Code::Io | Code::SourceUnreadable | Code::PeerUnreachable => StatusCode::BAD_GATEWAY,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        Self { status: status_of(problem.code), problem, errors: Vec::new() }
    }
}

impl From<LedgerError> for ApiError {
    fn from(error: LedgerError) -> Self {
        error.problem().into()
    }
}

impl From<DocumentError> for ApiError {
    fn from(error: DocumentError) -> Self {
        match error {
            DocumentError::Bad(problem) => problem.into(),
            DocumentError::Ledger(error) => error.into(),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let Self { status, problem, errors } = self;
        let document = ProblemDocument {
            kind: format!("docs/errors/{}.md", problem.code),
            title: problem.what,
            status: status.as_u16(),
            code: problem.code,
            detail: problem.why,
            next: problem.next,
            dataset: problem.dataset,
            errors,
        };
        let mut response = (status, Json(document)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_MEDIA_TYPE));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// Turns what the router itself refuses (no such route or method, a path that is no text) into a problem document.
pub(super) fn explain(response: Response) -> Response {
    let status = response.status();
    // The console explains itself in pages.
    let says = |kind: &HeaderValue| kind == PROBLEM_MEDIA_TYPE || kind.as_bytes().starts_with(b"text/html");
    let explained = response.headers().get(header::CONTENT_TYPE).is_some_and(says);
    if explained || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let next = "GET /v1/openapi.json lists what there is";
    let error = match status {
        StatusCode::NOT_FOUND => ApiError::not_found("this path", next),
        StatusCode::METHOD_NOT_ALLOWED => ApiError::invalid("this method", "the path does not take it", next),
        _ => ApiError::invalid("the request", format!("it was refused with status {status}"), next),
    };
    error.with_status(status).into_response()
}
