//! Findings as people see them: page by page, or all of them as an export.

use akwatch_proto::limits;
use akwatch_proto::people::{FindingQuery, FindingRow, Page};
use akwatch_proto::time::Time;
use akwatch_store::filter::FindingFilter;

use crate::domain::people::Asker;
use crate::domain::refusal::Refusal;
use crate::domain::{Domain, view};

/// What of an export is still to come; it holds the scope that it was asked in.
pub struct Export {
    by: Asker,
    filter: Option<FindingFilter>,
}

impl Domain {
    /// One page of the findings.
    ///
    /// # Errors
    /// When a filter's value is refused, or the store fails.
    pub async fn findings(
        &self,
        by: &Asker,
        query: &FindingQuery,
    ) -> Result<Page<FindingRow>, Refusal> {
        let filter = FindingFilter::try_from(query)?;
        let page = self.store.findings(by.scope(), &filter).await?;
        Ok(view::for_role(by.role(), page))
    }

    /// Begins an export of every finding that matches, and audits it.
    ///
    /// # Errors
    /// When a filter's value is refused, or the store fails.
    pub async fn export(
        &self,
        by: &Asker,
        query: &FindingQuery,
        now: Time,
    ) -> Result<Export, Refusal> {
        let mut filter = FindingFilter::try_from(query)?;
        filter.page.count = false;
        filter.page.limit = limits::PAGE_ROWS;
        self.record(by.actor(), "export", "findings".to_owned(), "done", now)
            .await?;
        Ok(Export {
            by: by.clone(),
            filter: Some(filter),
        })
    }

    /// The next rows of an export; none after the last.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn next_rows(&self, export: &mut Export) -> Result<Option<Vec<FindingRow>>, Refusal> {
        let Some(mut filter) = export.filter.take() else {
            return Ok(None);
        };
        let page = self.store.findings(export.by.scope(), &filter).await?;
        let page = view::for_role(export.by.role(), page);
        export.filter = page.next.map(|next| {
            filter.page.cursor = Some(next);
            filter
        });
        Ok(Some(page.rows))
    }
}
