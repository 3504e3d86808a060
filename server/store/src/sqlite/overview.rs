//! The first page, from counters and covering indexes.

use std::collections::BTreeMap;

use akwatch_proto::people::{
    CoverageCounts, CredentialRow, Day, HostCounts, HostRow, Overview, PresenceCounts,
};
use akwatch_proto::time::Time;
use sqlx::{QueryBuilder, Row as _};

use super::hosts::{COVERED, STATE};
use super::list::in_scope;
use super::timeline::DAY;
use super::words::{Columns as _, slug, unsigned};
use super::{At as _, Sqlite};
use crate::filter::{CredentialFilter, HostFilter, Paging, Verdicts};
use crate::{Hosts as _, Scope, StoreError};

/// Days of the chart.
const DAYS: i64 = 30;

/// Rows of each top list.
const TOP: u32 = 10;

/// Open credentials in sum.
#[derive(Default)]
struct Sums {
    verdicts: BTreeMap<String, u64>,
    bands: BTreeMap<String, u64>,
    places: PresenceCounts,
    references: u64,
}

impl Sums {
    fn add(&mut self, verdict: String, score: u32, number: u64, places: PresenceCounts) {
        *self.verdicts.entry(verdict).or_default() += number;
        *self.bands.entry(band(score).to_owned()).or_default() += number;
        self.places.present += places.present;
        self.places.gone += places.gone;
        self.places.unknown += places.unknown;
    }
}

/// The name of a score's band.
fn band(score: u32) -> &'static str {
    match score {
        90.. => "critical",
        70.. => "high",
        40.. => "medium",
        1.. => "low",
        0 => "recorded",
    }
}

fn top() -> Paging {
    Paging {
        limit: TOP,
        count: false,
        cursor: None,
    }
}

impl Sqlite {
    pub(crate) async fn overview_of(
        &self,
        scope: &Scope,
        now: Time,
    ) -> Result<Overview, StoreError> {
        let (hosts, coverage, waiting) = self.host_counts(scope).await?;
        let (sums, top_credentials) = match scope {
            Scope::All => (self.stored_sums().await?, self.top_stored().await?),
            Scope::Labels(_) | Scope::Host(_) => self.computed_sums(scope).await?,
        };
        let filter = HostFilter {
            page: top(),
            ..HostFilter::default()
        };
        let top_hosts: Vec<HostRow> = self.hosts(scope, &filter).await?.rows;
        Ok(Overview {
            time: now,
            hosts,
            verdicts: sums.verdicts,
            bands: sums.bands,
            places: sums.places,
            references: sums.references,
            coverage,
            waiting,
            top_credentials,
            top_hosts,
            days: self.days(scope, now).await?,
        })
    }

    async fn host_counts(
        &self,
        scope: &Scope,
    ) -> Result<(HostCounts, CoverageCounts, u64), StoreError> {
        let mut query = QueryBuilder::<sqlx::Sqlite>::new("SELECT ");
        query.push(STATE).push(" AS state, ").push(COVERED).push(
            " AS shown, count(*) AS number, sum(CASE WHEN h.retired THEN 0 ELSE h.waiting END) \
                 AS waiting FROM host AS h WHERE ",
        );
        in_scope(&mut query, scope, "h.id");
        query.push(" GROUP BY 1, 2");
        let rows = query
            .build()
            .fetch_all(&self.readers)
            .await
            .at("counting hosts")?;
        let (mut hosts, mut coverage) = (HostCounts::default(), CoverageCounts::default());
        let mut waiting = 0;
        for row in rows {
            let number = row.count("number")?;
            let state: i64 = row.value("state")?;
            *match state {
                1 => &mut hosts.pending,
                2 => &mut hosts.live,
                3 => &mut hosts.silent,
                _ => &mut hosts.retired,
            } += number;
            waiting += row.count("waiting")?;
            if state != 4 {
                *match row.value::<i64>("shown")? {
                    2 => &mut coverage.whole,
                    1 => &mut coverage.partly,
                    _ => &mut coverage.unknown,
                } += number;
            }
        }
        Ok((hosts, coverage, waiting))
    }

    async fn stored_sums(&self) -> Result<Sums, StoreError> {
        let rows = sqlx::query(
            "SELECT verdict, score, count(*) AS number, sum(present) AS present, \
             sum(gone) AS gone, sum(unknown) AS unknown FROM credential WHERE open = 1 \
             GROUP BY verdict, score",
        )
        .fetch_all(&self.readers)
        .await
        .at("adding up credentials")?;
        let mut sums = Sums::default();
        for row in rows {
            let places = PresenceCounts {
                present: row.count("present")?,
                gone: row.count("gone")?,
                unknown: row.count("unknown")?,
            };
            sums.add(
                row.value("verdict")?,
                row.small("score")?,
                row.count("number")?,
                places,
            );
        }
        let references: i64 = sqlx::query_scalar(
            "SELECT coalesce(sum(ref_present + ref_gone + ref_unknown), 0) FROM credential \
             WHERE ref_present + ref_gone + ref_unknown > 0",
        )
        .fetch_one(&self.readers)
        .await
        .at("adding up references")?;
        sums.references = unsigned("references", references)?;
        Ok(sums)
    }

    async fn top_stored(&self) -> Result<Vec<CredentialRow>, StoreError> {
        let filter = CredentialFilter {
            verdicts: Verdicts::Open(Vec::new()),
            page: top(),
            ..CredentialFilter::default()
        };
        Ok(self.credentials_page(&Scope::All, &filter).await?.rows)
    }

    async fn computed_sums(&self, scope: &Scope) -> Result<(Sums, Vec<CredentialRow>), StoreError> {
        let mut every = CredentialFilter::default();
        every.kinds.extend(crate::filter::EVERY_KIND);
        let lines = self.summed(scope, &every, None).await?;
        let mut sums = Sums::default();
        let mut top = Vec::new();
        for line in lines {
            sums.references += line.references;
            if !line.open {
                continue;
            }
            let row = line.row;
            sums.add(slug(&row.verdict), row.score, 1, row.places);
            if top.len() < TOP as usize {
                top.push(row);
            }
        }
        Ok((sums, top))
    }

    async fn days(&self, scope: &Scope, now: Time) -> Result<Vec<Day>, StoreError> {
        const STEP: &str = "counting days";
        let since = now.0.div_euclid(DAY) - DAYS + 1;
        let rows = if *scope == Scope::All {
            sqlx::query("SELECT day, new, gone FROM day WHERE day >= ?1 ORDER BY day")
                .bind(since)
                .fetch_all(&self.readers)
                .await
                .at(STEP)?
        } else {
            let mut query = QueryBuilder::<sqlx::Sqlite>::new(
                "SELECT t.time / 86400000 AS day, \
                 sum(t.what = 'present' AND t.time = f.stored) AS new, sum(t.what = 'gone') AS gone \
                 FROM timeline AS t JOIN finding AS f ON f.id = t.finding_id \
                 WHERE f.kind <> 'reference' AND ",
            );
            in_scope(&mut query, scope, "t.host_id");
            query
                .push(" AND t.time >= ")
                .push_bind(since * DAY)
                .push(" GROUP BY 1 ORDER BY 1");
            query.build().fetch_all(&self.readers).await.at(STEP)?
        };
        rows.iter()
            .map(|row| {
                let day: i64 = row.try_get("day").at(STEP)?;
                Ok(Day {
                    day: date(day),
                    new: row.count("new")?,
                    gone: row.count("gone")?,
                })
            })
            .collect()
    }
}

/// The date of a day since 1970, by the civil calendar.
fn date(day: i64) -> String {
    // Days are counted from 0000-03-01, so that the leap day ends a year; 400 years are one cycle.
    let shifted = day + 719_468;
    let cycle = shifted.div_euclid(146_097);
    let of_cycle = shifted.rem_euclid(146_097);
    let of_year = (of_cycle - of_cycle / 1_460 + of_cycle / 36_524 - of_cycle / 146_096) / 365;
    let of_days = of_cycle - (365 * of_year + of_year / 4 - of_year / 100);
    let month_from_march = (5 * of_days + 2) / 153;
    let of_month = of_days - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = of_year + cycle * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{of_month:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_dates() {
        for (day, expected) in [
            (0, "1970-01-01"),
            (11_016, "2000-02-29"),
            (11_017, "2000-03-01"),
            (20_516, "2026-03-04"),
            (-1, "1969-12-31"),
        ] {
            assert_eq!(date(day), expected);
        }
    }

    #[test]
    fn bands_begin_where_they_are_documented() {
        for (score, name) in [
            (100, "critical"),
            (90, "critical"),
            (89, "high"),
            (70, "high"),
            (69, "medium"),
            (40, "medium"),
            (39, "low"),
            (1, "low"),
            (0, "recorded"),
        ] {
            assert_eq!(band(score), name);
        }
    }
}
