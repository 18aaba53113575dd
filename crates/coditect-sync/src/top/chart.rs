//! Draws figures over time as columns of blocks.

/// From nothing to a whole cell.
const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// The same for terminals that know only ASCII.
const PLAIN: [char; 9] = [' ', '.', '.', ':', ':', '|', '|', '#', '#'];

/// The newest figures, one column each, the newest at the right edge; the highest of those shown reaches the top. What is
/// not zero is seen, however small.
pub(super) fn chart(figures: &[u64], width: usize, height: usize, unicode: bool) -> Vec<String> {
    let shown = figures.get(figures.len().saturating_sub(width)..).unwrap_or_default();
    let highest = shown.iter().copied().max().unwrap_or(0).max(1);
    let steps = u64::try_from(height * 8).unwrap_or(u64::MAX);
    let cells = if unicode { BLOCKS } else { PLAIN };
    let heights: Vec<u64> = shown
        .iter()
        .map(|figure| {
            // In more bits, so that no figure is too large to be drawn.
            let scaled = u128::from(*figure) * u128::from(steps) / u128::from(highest);
            u64::try_from(scaled).unwrap_or(steps).max(u64::from(*figure > 0))
        })
        .collect();
    (0..height)
        .rev()
        .map(|row| {
            let below = u64::try_from(row * 8).unwrap_or(u64::MAX);
            let columns = heights.iter().map(|height| {
                let cell = usize::try_from(height.saturating_sub(below).min(8)).unwrap_or(8);
                cells[cell]
            });
            std::iter::repeat_n(' ', width - shown.len()).chain(columns).collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_columns_and_the_newest_is_at_the_right() {
        let check = |figures: &[u64], width, height, expected: &[&str]| {
            assert_eq!(chart(figures, width, height, true), expected, "{figures:?}");
        };
        check(&[0, 1, 4, 8], 4, 1, &[" ▁▄█"]);
        check(&[0, 8, 16], 5, 2, &["    █", "   ██"]);
        check(&[9, 9, 9, 1, 2], 2, 1, &["▄█"]);
        check(&[1, 1_000_000], 2, 1, &["▁█"]);
        check(&[u64::MAX, 0], 3, 1, &[" █ "]);
        check(&[], 3, 1, &["   "]);
        check(&[], 0, 0, &[]);
        assert_eq!(chart(&[0, 1, 4, 8], 4, 1, false), [" .:#"]);
    }
}
