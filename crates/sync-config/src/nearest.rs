//! Finds the known name that a mistyped one was probably meant to be.

/// The candidate with the fewest edits, when it takes no more than a third of the letters.
pub(crate) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (edits(name, candidate), candidate))
        .min()
        .filter(|(edits, candidate)| *edits * 3 <= candidate.chars().count().max(name.chars().count()))
        .map(|(_, candidate)| candidate)
}

/// How many letters have to be put in, taken out or replaced to turn one word into the other.
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (done, letter) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = done + 1;
        for (at, other) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[at + 1];
            row[at + 1] = replaced.min(row[at] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_name_and_a_stranger_finds_none() {
        let known = ["api_url", "auth_token", "batch_size", "retry_max"];
        for (name, expected) in [
            ("api_ulr", Some("api_url")),
            ("apiurl", Some("api_url")),
            ("auth-token", Some("auth_token")),
            ("retries_max", Some("retry_max")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(name, known), expected, "{name}");
        }
    }
}
