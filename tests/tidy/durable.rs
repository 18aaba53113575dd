//! A row that a statement gives back is not yet a row on disk.
//!
//! `fetch_one` and `fetch_optional` stop after the first row and drop the statement; of a `returning` statement outside
//! a transaction the error of the commit is then lost. So such a statement is given a transaction by name.

use crate::lexer::code;
use crate::none;
use crate::repository::{Source, rust};

/// Where statements are.
const STORE: &str = "crates/sync-store/src/";

fn violations<'a>(sources: impl IntoIterator<Item = &'a Source>) -> Vec<String> {
    let sources: Vec<_> = sources.into_iter().filter(|source| source.path.starts_with(STORE)).collect();
    let codes: Vec<_> = sources.iter().map(|source| (source, code(&source.text).with_texts)).collect();
    let returning: Vec<String> = codes.iter().flat_map(|(_, code)| returning_statements(code)).collect();
    let mut found = Vec::new();
    for (source, code) in &codes {
        for call in [".fetch_one(", ".fetch_optional("] {
            for (at, _) in code.match_indices(call) {
                let before = &code[..at];
                let begin = before.rfind([';', '{', '}']).map_or(0, |end| end + 1);
                let statement = &before[begin..];
                let names = || statement.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
                let returns = statement.to_lowercase().contains("returning")
                    || names().any(|name| returning.iter().any(|known| known == name));
                let given = code[at + call.len()..].split(')').next().unwrap_or_default();
                if returns && !is_transaction(given) {
                    let line = before.matches('\n').count() + 1;
                    found.push(format!(
                        "{}:{line} gives a returning statement `{given}`, which is no transaction",
                        source.path
                    ));
                }
            }
        }
    }
    found
}

fn is_transaction(given: &str) -> bool {
    given
        .split(|letter: char| !letter.is_alphanumeric() && letter != '_')
        .any(|word| matches!(word, "transaction" | "tx"))
}

/// The names of constants whose text gives rows back.
fn returning_statements(code: &str) -> Vec<String> {
    let constants = code.split("const ").skip(1).filter_map(|rest| rest.split_once(": &str ="));
    let returning = constants.filter(|(_, rest)| {
        let text = rest.split("\";").next().unwrap_or(rest);
        text.to_lowercase().split_whitespace().any(|word| word == "returning")
    });
    returning.map(|(name, _)| name.trim().to_owned()).collect()
}

#[test]
fn no_returned_row_is_believed_before_its_commit() {
    assert!(rust().any(|source| source.path.starts_with(STORE)), "{STORE} has sources");
    none(&violations(rust()));
}

#[test]
fn a_returned_row_outside_a_transaction_is_noticed() {
    let constants = "const ADD: &str = \"insert into t (a) values (?)\n returning id\";\nconst READ: &str = \"select id from t\";\n";
    let check = |body: &str, expected: usize| {
        let sources = [
            Source::new("crates/sync-store/src/sql.rs", constants),
            Source::new("crates/sync-store/src/x.rs", body),
        ];
        let found = violations(&sources);
        assert_eq!(found.len(), expected, "{body}: {found:?}");
    };
    check("fn f() { query(ADD).bind(1).fetch_one(&self.pool).await?; }", 1);
    check("fn f() { query(sql::ADD)\n    .bind(1)\n    .fetch_optional(&mut *connection).await?; }", 1);
    check("fn f() { query(\"delete from t returning id\").fetch_one(pool).await?; }", 1);
    check("fn f() { query(ADD).fetch_one(&mut *transaction).await?; }", 0);
    check("fn f() { query(ADD).fetch_all(&self.pool).await?; }", 0);
    check("fn f() { query(READ).fetch_one(&self.pool).await?; }", 0);
    check("fn f() { query(ADD).execute(pool).await?; query(READ).fetch_one(&self.pool).await?; }", 0);
}
