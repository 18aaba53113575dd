//! What an entry costs by how many wait: as little at a million as at a thousand.

use sync_tests::short;

use crate::measure::Row;
use crate::store;

pub(crate) fn measure() -> Vec<Row> {
    let lines = store::measured(&["--depth", "1000", "--depth", "100000", "--depth", "1000000"]);
    let first = lines.first().expect("a line of the store");
    let mut rows = Vec::new();
    for (figure, name, drawn) in [
        ("choose_us", "choosing the next 100 entries", "choosing the next 100"),
        ("enqueue_us", "storing one more, 1 caller", "storing one more"),
        ("settle_us", "settling a flight of 100 in one commit", "settling a flight of 100"),
    ] {
        for line in &lines {
            let what = format!("{name}, {} waiting", short(line.number("depth")));
            let beside = "at 1000";
            let row = Row::beside(what, (line.number(figure), "µs"), beside, (first.number(figure), "µs"));
            rows.push(row.at("depth", drawn, line.number("depth")));
        }
    }
    rows
}
