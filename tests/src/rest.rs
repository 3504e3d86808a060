//! A client of the people's REST API, as any script would write one.

use anyhow::{Context, Result, bail};
use reqwest::{Certificate, Client};
use serde_json::Value;

use crate::{plant, wait};

/// A client with a token.
#[derive(Clone, Debug)]
pub struct Rest {
    client: Client,
    base: String,
    token: String,
}

impl Rest {
    /// A client of the collector at `base`, trusting only `authority` (PEM).
    ///
    /// # Errors
    /// When the certificate cannot be read.
    pub fn new(base: &str, authority: &[u8], token: &str) -> Result<Rest> {
        let client = Client::builder()
            .tls_certs_only([Certificate::from_pem(authority)?])
            .timeout(wait::DEADLINE)
            .build()?;
        Ok(Rest {
            client,
            base: format!("{base}/api/v1"),
            token: token.to_owned(),
        })
    }

    /// As [`Rest::new`], for a collector whose clock a test has moved: the test's own stays, and
    /// would find the collector's certificate ended or not begun.
    ///
    /// # Errors
    /// As [`Rest::new`].
    pub fn at_any_time(base: &str, token: &str) -> Result<Rest> {
        let client = Client::builder()
            .tls_danger_accept_invalid_certs(true)
            .timeout(wait::DEADLINE)
            .build()?;
        Ok(Rest {
            client,
            base: format!("{base}/api/v1"),
            token: token.to_owned(),
        })
    }

    /// Every finding, one row each.
    ///
    /// # Errors
    /// When the answer is not a success, or broke off.
    pub async fn findings(&self) -> Result<Vec<Value>> {
        let text = self.text("export/findings").await?;
        let rows = text.lines().map(serde_json::from_str);
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// `GET /api/v1/{path}` as JSON.
    ///
    /// # Errors
    /// When the answer is not a success.
    pub async fn get(&self, path: &str) -> Result<Value> {
        let text = self.text(path).await?;
        serde_json::from_str(&text).with_context(|| format!("GET {path}: not JSON: {text}"))
    }

    async fn text(&self, path: &str) -> Result<String> {
        let url = format!("{}/{path}", self.base);
        let answer = self
            .client
            .get(&url)
            .bearer_auth(&self.token)
            .send()
            .await
            .with_context(|| format!("GET {url}"))?;
        let status = answer.status();
        let text = answer.text().await?;
        if !status.is_success() {
            bail!("GET {url}: {status}: {text}");
        }
        Ok(text)
    }

    /// `POST /api/v1/{path}`: the status and the body as JSON, null when empty.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn post(&self, path: &str, body: &Value) -> Result<(u16, Value)> {
        let url = format!("{}/{path}", self.base);
        let answer = self
            .client
            .post(&url)
            .bearer_auth(&self.token)
            .json(body)
            .send()
            .await
            .with_context(|| format!("POST {url}"))?;
        let status = answer.status().as_u16();
        let text = answer.text().await?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::Null)))
    }

    /// The findings of the access key id `id`, references included; without those under the name that
    /// [`plant::write`](crate::plant::write) renames, which an agent may be quick enough to see.
    ///
    /// # Errors
    /// When the collector does not answer.
    pub async fn findings_of(&self, id: &str) -> Result<Vec<Value>> {
        let page = self.get(&format!("findings?id={id}")).await?;
        let mut rows = page["rows"].as_array().cloned().unwrap_or_default();
        rows.retain(|row| {
            !plant::is_temporary(row["location"]["path"].as_str().unwrap_or_default())
        });
        Ok(rows)
    }
}
