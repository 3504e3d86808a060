//! The REST interface: one call at a time, bounded answers, refusals with their hints.

use std::error::Error as _;
use std::fmt::Write as _;
use std::time::Duration;

use akwatch_proto::agent::{RefusalCode, Refused};
use akwatch_proto::limits;
use akwatch_proto::people::Page;
use reqwest::{Certificate, Client, Method, RequestBuilder, Response, Url};
use serde::de::DeserializeOwned;

use crate::account::Account;
use crate::trouble::Trouble;

/// For an answer that is not a stream.
const TIME: Duration = Duration::from_secs(60);
/// Bytes of an answer that is not a stream. Stops: a collector that fills memory.
const ANSWER: usize = 64 * 1024 * 1024;

/// A filter's name and value.
pub(crate) type Filter = (&'static str, String);

/// A client of one collector.
pub(crate) struct Rest {
    client: Client,
    account: Account,
}

impl Rest {
    /// A client that trusts what the account says.
    ///
    /// # Errors
    /// When the authority is not a certificate.
    pub(crate) fn new(account: Account) -> Result<Rest, Trouble> {
        let mut builder = Client::builder()
            .https_only(true)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(10))
            .user_agent(concat!("akwatch/", env!("CARGO_PKG_VERSION")));
        if let Some(pem) = &account.authority {
            let certificates = Certificate::from_pem_bundle(pem)
                .ok()
                .filter(|certificates| !certificates.is_empty())
                .ok_or_else(|| {
                    Trouble::Usage(
                        "the authority (--ca, AKWATCH_CA) is not a PEM certificate".to_owned(),
                    )
                })?;
            builder = builder.tls_certs_only(certificates);
        }
        let client = builder
            .build()
            .map_err(|error| Trouble::Usage(format!("cannot prepare TLS: {error}")))?;
        Ok(Rest { client, account })
    }

    /// The account that it asks with.
    pub(crate) fn account(&self) -> &Account {
        &self.account
    }

    /// `GET /api/v1/{path}`.
    ///
    /// # Errors
    /// As [`Trouble`] says.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        filters: &[Filter],
    ) -> Result<T, Trouble> {
        let request = self.request(Method::GET, path, filters)?.timeout(TIME);
        self.read(path, self.send(request).await?).await
    }

    /// `POST /api/v1/{path}`.
    ///
    /// # Errors
    /// As [`Trouble`] says.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: Vec<u8>,
    ) -> Result<T, Trouble> {
        self.write(Method::POST, path, body).await
    }

    /// `PUT /api/v1/{path}`.
    ///
    /// # Errors
    /// As [`Trouble`] says.
    pub(crate) async fn put<T: DeserializeOwned>(
        &self,
        path: &str,
        body: Vec<u8>,
    ) -> Result<T, Trouble> {
        self.write(Method::PUT, path, body).await
    }

    /// `POST /api/v1/{path}` of what needs no body and is answered by none.
    ///
    /// # Errors
    /// As [`Trouble`] says.
    pub(crate) async fn command(&self, path: &str) -> Result<(), Trouble> {
        let request = self.request(Method::POST, path, &[])?.timeout(TIME);
        self.send(request).await.map(drop)
    }

    async fn write<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<T, Trouble> {
        let request = self
            .request(method, path, &[])?
            .timeout(TIME)
            .header("content-type", "application/json")
            .body(body);
        self.read(path, self.send(request).await?).await
    }

    /// `GET /api/v1/{path}` as a stream, which may last.
    ///
    /// # Errors
    /// As [`Trouble`] says.
    pub(crate) async fn stream(&self, path: &str, filters: &[Filter]) -> Result<Response, Trouble> {
        self.send(self.request(Method::GET, path, filters)?).await
    }

    /// Pages of a list until `most` rows are there.
    ///
    /// # Errors
    /// As [`Trouble`] says.
    pub(crate) async fn list<T: DeserializeOwned>(
        &self,
        path: &str,
        filters: &[Filter],
        most: u32,
    ) -> Result<Page<T>, Trouble> {
        let mut whole: Page<T> = Page {
            rows: Vec::new(),
            total: 0,
            next: None,
        };
        loop {
            let have = u32::try_from(whole.rows.len()).unwrap_or(u32::MAX);
            let missing = most.saturating_sub(have).min(limits::PAGE_ROWS);
            let mut filters = filters.to_vec();
            filters.push(("limit", missing.max(1).to_string()));
            if let Some(cursor) = whole.next.take() {
                filters.push(("cursor", cursor));
            }
            let page: Page<T> = self.get(path, &filters).await?;
            whole.total = whole.total.max(page.total);
            let empty = page.rows.is_empty();
            whole.rows.extend(page.rows);
            whole.next = page.next;
            let enough = u32::try_from(whole.rows.len()).unwrap_or(u32::MAX) >= most;
            if enough || empty || whole.next.is_none() {
                return Ok(whole);
            }
        }
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        filters: &[Filter],
    ) -> Result<RequestBuilder, Trouble> {
        let base = format!("{}/api/v1/{path}", self.account.url);
        let mut url = Url::parse(&base)
            .map_err(|_| Trouble::Usage("the collector's address is not one".to_owned()))?;
        if !filters.is_empty() {
            url.query_pairs_mut().extend_pairs(filters);
        }
        Ok(self
            .client
            .request(method, url)
            .bearer_auth(&self.account.token))
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, Trouble> {
        let response = request
            .send()
            .await
            .map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = self.bytes(response).await.unwrap_or_default();
        let refused = serde_json::from_slice(&body).unwrap_or_else(|_| Refused {
            code: RefusalCode::Unknown,
            message: format!("The collector answered {status} without saying why."),
            hint: Some("Is this address a collector's, or a proxy before it?".to_owned()),
            request: None,
        });
        Err(Trouble::Refused(Box::new(refused)))
    }

    async fn read<T: DeserializeOwned>(
        &self,
        path: &str,
        response: Response,
    ) -> Result<T, Trouble> {
        let body = self.bytes(response).await?;
        serde_json::from_slice(&body).map_err(|_| Trouble::Answer(path.to_owned()))
    }

    async fn bytes(&self, mut response: Response) -> Result<Vec<u8>, Trouble> {
        let mut body = Vec::new();
        while let Some(part) = response
            .chunk()
            .await
            .map_err(|error| self.unreachable(&error))?
        {
            if body.len() + part.len() > ANSWER {
                return Err(Trouble::Answer("this call".to_owned()));
            }
            body.extend_from_slice(&part);
        }
        Ok(body)
    }

    pub(crate) fn unreachable(&self, error: &reqwest::Error) -> Trouble {
        let mut why = String::new();
        let mut cause = error.source();
        while let Some(inner) = cause {
            let text = inner.to_string();
            // The client library's own layer says nothing that the next does not say better.
            if !text.starts_with("client error") {
                let separator = if why.is_empty() { "" } else { ": " };
                let _ = write!(why, "{separator}{text}");
            }
            cause = inner.source();
        }
        if why.is_empty() {
            why = if error.is_timeout() {
                "it took too long".to_owned()
            } else {
                "it broke off".to_owned()
            };
        }
        let why = akwatch_proto::text::escape(why.as_bytes());
        let hint = if why.contains("UnknownIssuer") || why.contains("invalid peer certificate") {
            "Give the collector's authority by --ca or AKWATCH_CA: it is ca.pem in its state directory."
        } else if error.is_connect() {
            "Is the collector running, and is the address right?"
        } else {
            "Try again."
        };
        Trouble::Unreachable {
            url: self.account.url.clone(),
            why,
            hint,
        }
    }
}
