//! Every statement is prepared against a migrated database, and how SQLite would run it is kept.

use std::collections::BTreeMap;
use std::fmt::Write;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Row};

use crate::support::Home;

#[tokio::test]
async fn every_statement_runs_as_it_did() {
    let home = Home::new();
    home.open().await.close().await.unwrap();
    let mut connection = SqliteConnectOptions::new().filename(home.file()).connect().await.unwrap();
    // What the take-over reads and deletes from.
    sqlx::raw_sql(crate::legacy::OLD_TABLES).execute(&mut connection).await.unwrap();

    let mut plans: BTreeMap<&str, String> = BTreeMap::new();
    for (file, name, sql) in sync_store::statements() {
        let explained = sqlx::query(AssertSqlSafe(format!("explain query plan {sql}")))
            .fetch_all(&mut connection)
            .await
            .unwrap_or_else(|error| panic!("{file} {name}: {error}\n{sql}"));
        let text = plans.entry(file).or_default();
        writeln!(text, "{name}").unwrap();
        let mut depth: BTreeMap<i64, usize> = BTreeMap::new();
        for step in explained {
            let (id, parent): (i64, i64) = (step.get(0), step.get(1));
            let indent = depth.get(&parent).map_or(1, |depth| depth + 1);
            depth.insert(id, indent);
            writeln!(text, "{}{}", "  ".repeat(indent), step.get::<String, _>(3)).unwrap();
        }
    }
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        for (file, text) in plans {
            insta::assert_snapshot!(format!("plans_{file}"), text);
        }
    });
}
