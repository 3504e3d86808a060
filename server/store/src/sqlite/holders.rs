//! Who holds a key, who does not, and of whom nobody can say.

use akwatch_proto::credential::{CredentialId, Fingerprint};
use akwatch_proto::people::Holders;
use sqlx::{QueryBuilder, Row as _};

use super::credentials::PLACES;
use super::hosts::{COVERED, STATE};
use super::list::{and_among, in_scope};
use super::words::unsigned;
use super::{At as _, Sqlite};
use crate::{Scope, StoreError};

/// Credentials that one id or secret may stand for. More than a few is an attack on the answer.
const CREDENTIALS: i64 = 100;

impl Sqlite {
    pub(crate) async fn held_by_id(
        &self,
        scope: &Scope,
        id: &CredentialId,
    ) -> Result<Holders, StoreError> {
        let ids = sqlx::query_scalar(
            "SELECT id FROM credential WHERE access_id = ?1 AND merged_into IS NULL \
             ORDER BY f2 IS NULL, score DESC, id LIMIT ?2",
        )
        .bind(id.to_string())
        .bind(CREDENTIALS)
        .fetch_all(&self.readers)
        .await
        .at("looking for a key")?;
        self.held(scope, ids).await
    }

    pub(crate) async fn held_by_secret(
        &self,
        scope: &Scope,
        fingerprints: &[Fingerprint],
    ) -> Result<Holders, StoreError> {
        if fingerprints.is_empty() {
            return self.held(scope, Vec::new()).await;
        }
        let mut query = QueryBuilder::<sqlx::Sqlite>::new("SELECT id FROM credential WHERE 1");
        let f2s = fingerprints
            .iter()
            .map(|fingerprint| self.shared.pepper.f2(fingerprint).to_vec());
        and_among(&mut query, "f2", f2s);
        query
            .push(" ORDER BY score DESC, id LIMIT ")
            .push_bind(CREDENTIALS);
        let ids = query
            .build_query_scalar::<i64>()
            .fetch_all(&self.readers)
            .await
            .at("looking for a secret")?;
        self.held(scope, ids).await
    }

    async fn held(&self, scope: &Scope, ids: Vec<i64>) -> Result<Holders, StoreError> {
        let mut credential = None;
        for id in &ids {
            if let Some(line) = self.credential_line(scope, *id).await? {
                credential = Some(line.row);
                break;
            }
        }
        let places = if ids.is_empty() {
            Vec::new()
        } else {
            self.places_of(scope, &ids, true, PLACES).await?
        };
        let (hosts_without, hosts_unknown) = self.others(scope, &ids).await?;
        Ok(Holders {
            credential,
            places,
            hosts_without,
            hosts_unknown,
        })
    }

    /// Hosts that are known not to hold any of `ids`, and hosts of which nobody can say.
    async fn others(&self, scope: &Scope, ids: &[i64]) -> Result<(u64, u64), StoreError> {
        let mut query = QueryBuilder::<sqlx::Sqlite>::new("SELECT count(*) FILTER (WHERE ");
        query
            .push(COVERED)
            .push(" = 2), count(*) FILTER (WHERE ")
            .push(COVERED)
            .push(" <> 2) FROM host AS h WHERE ");
        in_scope(&mut query, scope, "h.id");
        query.push(" AND ").push(STATE).push(" <> 4");
        if !ids.is_empty() {
            query.push(
                " AND NOT EXISTS (SELECT 1 FROM holding AS d WHERE d.host_id = h.id AND \
                 d.present + d.unknown + d.ref_present + d.ref_unknown + d.apart > 0",
            );
            and_among(&mut query, "d.credential_id", ids.iter().copied());
            query.push(")");
        }
        let row = query
            .build()
            .fetch_one(&self.readers)
            .await
            .at("counting hosts")?;
        let count = |index: usize| -> Result<u64, StoreError> {
            unsigned("hosts", row.try_get::<i64, _>(index).at("counting hosts")?)
        };
        Ok((count(0)?, count(1)?))
    }
}
