//! Matches the patterns manifests name folders with: `*`, `?`, `**`, `{a,b}`.

/// Whether `path` is meant by `pattern`; both with slashes, neither beginning or ending with one. A pattern that is longer
/// than any path means none.
pub fn matches(pattern: &str, path: &str) -> bool {
    if pattern.len() > LONGEST_PATTERN {
        return false;
    }
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

/// Longest pattern that is compared.
const LONGEST_PATTERN: usize = 4_096;
/// Most patterns one with braces may stand for, and most bytes that these have together. Braces that stand for more are
/// taken as they are written.
const MOST_ALTERNATIVES: usize = 256;
const MOST_BYTES: usize = 64 * 1024;

fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !matches!(*part, "" | "."))
}

fn alternatives(pattern: &str) -> Vec<String> {
    let mut open = vec![pattern.to_owned()];
    let mut done = Vec::new();
    let mut bytes = 0;
    while let Some(next) = open.pop() {
        let Some((before, choices, after)) = braces(&next) else {
            done.push(next);
            continue;
        };
        let count = choices.split(',').count();
        bytes += count * (before.len() + after.len()) + choices.len();
        if open.len() + done.len() + count > MOST_ALTERNATIVES || bytes > MOST_BYTES {
            done.push(next);
            continue;
        }
        open.extend(choices.split(',').map(|choice| format!("{before}{choice}{after}")));
    }
    done
}

/// What is before, in and after the first braces.
fn braces(pattern: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = pattern.split_once('{')?;
    let (choices, after) = rest.split_once('}')?;
    Some((before, choices, after))
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

    #[test]
    fn braces_stand_for_many_patterns_and_not_for_as_many_as_memory_holds() {
        let folders: Vec<String> = (0..200).map(|number| format!("f{number}")).collect();
        assert!(matches(&format!("{{{}}}/*", folders.join(",")), "f199/a"));
        for pattern in [
            format!("{{{}}}*", ",".repeat(1_000)),
            format!("{{{}}}{}*", ",".repeat(2_000), "a".repeat(2_000)),
            format!("{}*", "{a,b}".repeat(500)),
            format!("{{{}}}{{{}}}*", ",".repeat(200), ",".repeat(200)),
        ] {
            let made = alternatives(&pattern);
            assert!(made.len() <= MOST_ALTERNATIVES, "{} from {} bytes", made.len(), pattern.len());
            let bytes: usize = made.iter().map(String::len).sum();
            assert!(
                bytes <= MOST_BYTES + MOST_ALTERNATIVES * pattern.len(),
                "{bytes} bytes of {}",
                pattern.len()
            );
            assert!(!matches(&pattern, "b"));
        }
        // A manifest may hold a megabyte; as many choices before as much text are more than any machine holds.
        assert!(!matches(&format!("{{{}}}{}*", ",".repeat(500_000), "a".repeat(500_000)), "b"));
        assert!(matches("{a,b", "{a,b") && !matches("{a,b*", "b"));
    }
}
