//! The table that a benchmark prints, and the few sums that it needs.

/// Begins the table.
#[allow(clippy::print_stdout, reason = "a benchmark's table for a person")]
pub fn begin() {
    println!("| what | figure | goal |\n|---|---|---|");
}

/// One row of it.
#[allow(clippy::print_stdout, reason = "a benchmark's table for a person")]
pub fn row(what: &str, figure: &str, goal: &str) {
    println!("| {what} | {figure} | {goal} |");
}

/// The figure below which `share` of the others lie; not a number when there is none.
#[must_use]
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an index into a benchmark's figures"
)]
pub fn quantile(figures: &[f64], share: f64) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = (sorted.len() as f64 * share) as usize;
    let at = at.min(sorted.len().saturating_sub(1));
    sorted.get(at).copied().unwrap_or(f64::NAN)
}

/// How much y rises with each unit of x, by least squares.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "a benchmark's figures")]
pub fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let above: f64 = points
        .iter()
        .map(|point| (point.0 - x) * (point.1 - y))
        .sum();
    let below: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    above / below
}

/// `part` of `whole` as a double; not a number of none.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "a benchmark's figures")]
pub fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_and_slopes_are_those_of_the_book() {
        let figures: Vec<f64> = (1..=100).map(f64::from).collect();
        assert!((quantile(&figures, 0.5) - 51.0).abs() < 1e-9);
        assert!((quantile(&figures, 0.99) - 100.0).abs() < 1e-9);
        assert!(quantile(&[], 0.5).is_nan());
        let line: Vec<(f64, f64)> = (0..10)
            .map(|x| (f64::from(x), 3.0 * f64::from(x) + 1.0))
            .collect();
        assert!((slope(&line) - 3.0).abs() < 1e-9);
    }
}
