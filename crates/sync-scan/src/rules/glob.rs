//! Matches the patterns manifests name folders with: `*`, `?`, `**`, `{a,b}`.

/// Whether `path` is meant by `pattern`; both with slashes, neither beginning or ending with one.
pub fn matches(pattern: &str, path: &str) -> bool {
    if !pattern.contains(['*', '?', '{']) {
        return parts(pattern).eq(parts(path));
    }
    // Most paths differ in how they end, which is seen without taking anything apart.
    let end = pattern.trim_end_matches('/').rsplit(['/', '*', '?', '}']).next().unwrap_or_default();
    if end != "." && !path.trim_end_matches('/').ends_with(end) {
        return false;
    }
    alternatives(pattern).iter().any(|pattern| {
        let pattern: Vec<&str> = parts(pattern).collect();
        let path: Vec<&str> = parts(path).collect();
        parts_match(&pattern, &path)
    })
}

/// Most patterns one with braces may stand for.
const MOST_ALTERNATIVES: usize = 64;

fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !matches!(*part, "" | "."))
}

fn alternatives(pattern: &str) -> Vec<String> {
    let mut open = vec![pattern.to_owned()];
    let mut done = Vec::new();
    while let Some(next) = open.pop() {
        let braces = next.find('{').and_then(|start| Some((start, start + next[start..].find('}')?)));
        match braces {
            Some((start, end)) if open.len() + done.len() < MOST_ALTERNATIVES => {
                let choices = next[start + 1..end].split(',');
                open.extend(choices.map(|choice| format!("{}{choice}{}", &next[..start], &next[end + 1..])));
            }
            Some(_) | None => done.push(next),
        }
    }
    done
}

// One row of the usual table at a time, so that many stars cost no more than length times length.
fn parts_match(pattern: &[&str], path: &[&str]) -> bool {
    let mut row = vec![false; path.len() + 1];
    row[0] = true;
    for part in pattern {
        let mut next = vec![false; path.len() + 1];
        if *part == "**" {
            let mut seen = false;
            for (at, reached) in row.iter().enumerate() {
                seen |= reached;
                next[at] = seen;
            }
        } else {
            for at in 0..path.len() {
                next[at + 1] = row[at] && part_matches(part.as_bytes(), path[at].as_bytes());
            }
        }
        row = next;
    }
    row[path.len()]
}

fn part_matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut in_name, mut star, mut resume) = (0, 0, None, 0);
    while in_name < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some(at);
                resume = in_name;
                at += 1;
            }
            Some(letter) if *letter == b'?' || *letter == name[in_name] => {
                at += 1;
                in_name += 1;
            }
            _ => {
                let Some(star) = star else { return false };
                at = star + 1;
                resume += 1;
                in_name = resume;
            }
        }
    }
    pattern[at..].iter().all(|letter| *letter == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_manifests_mean_by_them() {
        for (pattern, path, expected) in [
            ("packages/*", "packages/a", true),
            ("packages/*", "packages/a/b", false),
            ("./packages/*/", "packages/a", true),
            ("packages/**", "packages/a/b", true),
            ("packages/**", "packages", true),
            ("**/lib-?", "x/y/lib-a", true),
            ("{apps,libs}/*", "libs/a", true),
            ("{apps,libs}/*", "other/a", false),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("**/b", "b", true),
            ("**/*.swift", "a/b.swift", true),
            ("**/*.swift", "a/b.c", false),
            ("*/.", "a", true),
            ("{a,b}", "b", true),
            ("exact", "exact", true),
            ("*", "", false),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
        }
    }
}
