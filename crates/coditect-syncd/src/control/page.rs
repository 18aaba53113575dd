//! A page of a list on its way out: read, written and sent a part at a time, so that neither a long page nor a client that
//! does not read it costs more memory than a part.
//!
//! A page that is one part is a whole answer. The first part of a longer one is read before the answer begins, so a store
//! that cannot be read is still a refusal; what fails later cuts the answer off, and a client sees that it has no end.
//! Knows nothing of what is listed.

use std::io;

use futures_util::stream;
use hyper::body::Frame;
use serde::Serialize;
use sync_wire::Problem;

use super::reply::{Reply, unwritable};

/// Most rows that are read at a time.
const PART: u32 = 32;

/// What is listed, in an order that does not change.
pub(super) trait List: Send + 'static {
    /// A row as it is written.
    type Row: Serialize + Send;

    /// The next `limit` rows, each with what is handed in as `cursor` to go on after it. Fewer are the last ones.
    fn next(
        &mut self,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<(String, Self::Row)>, Box<Problem>>> + Send;
}

/// A document with a page of `list` under `name`, and `next_cursor`.
pub(super) async fn page(name: &str, limit: u32, mut list: impl List) -> Result<Reply, Box<Problem>> {
    let mut page = Page::new(limit);
    let mut text = format!("{{\"{name}\":[").into_bytes();
    page.write(&mut text, &list.next(page.wants()).await?).map_err(|error| unwritable(&error))?;
    if page.is_over {
        return Ok(Reply::json_text(text));
    }
    let rest = stream::try_unfold((page, list), |(mut page, mut list)| async move {
        if page.is_over {
            return Ok(None);
        }
        let found = list.next(page.wants()).await.map_err(|problem| {
            tracing::debug!(reason = problem.detail, "a page is cut off");
            io::Error::other(problem.detail)
        })?;
        let mut text = Vec::new();
        page.write(&mut text, &found)?;
        Ok(Some((Frame::data(text.into()), (page, list))))
    });
    let begun = stream::once(async move { Ok(Frame::data(text.into())) });
    Ok(Reply::json_stream(Box::pin(stream::StreamExt::chain(begun, rest))))
}

/// How far a page is written.
struct Page {
    /// How many rows it may still have.
    left: u32,
    is_empty: bool,
    is_over: bool,
    /// The cursor of the last row that was written.
    last: Option<String>,
}

impl Page {
    fn new(limit: u32) -> Self {
        Self { left: limit, is_empty: true, is_over: false, last: None }
    }

    /// How many rows the next part is to have. One more than the page still takes tells whether another follows.
    fn wants(&self) -> u32 {
        self.left.saturating_add(1).min(PART)
    }

    /// Adds a part with as many rows as were wanted, or fewer where there are no more.
    fn write<R: Serialize>(
        &mut self,
        text: &mut Vec<u8>,
        found: &[(String, R)],
    ) -> Result<(), serde_json::Error> {
        let (wanted, left) = (self.wants() as usize, self.left as usize);
        let taken = found.get(..left).unwrap_or(found);
        for (cursor, row) in taken {
            if !std::mem::take(&mut self.is_empty) {
                text.push(b',');
            }
            serde_json::to_writer(&mut *text, row)?;
            self.last = Some(cursor.clone());
        }
        self.left = self.left.saturating_sub(u32::try_from(taken.len()).unwrap_or(u32::MAX));
        let more = found.len() > left;
        self.is_over = more || found.len() < wanted;
        if self.is_over {
            text.extend_from_slice(b"],\"next_cursor\":");
            serde_json::to_writer(&mut *text, &self.last.take().filter(|_| more))?;
            text.extend_from_slice(b"}\n");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use http_body_util::BodyExt;
    use hyper::Response;
    use serde_json::{Value, json};
    use sync_wire::ProblemCode;

    /// Rows from the one after `at` to `end`; none can be read after `broken`.
    struct Numbers {
        at: u32,
        end: u32,
        broken: u32,
        /// The largest part that was asked for, and how many rows were read.
        largest: Arc<AtomicU32>,
        read: Arc<AtomicU32>,
    }

    impl List for Numbers {
        type Row = Value;

        async fn next(&mut self, limit: u32) -> Result<Vec<(String, Value)>, Box<Problem>> {
            self.largest.fetch_max(limit, Ordering::Relaxed);
            if self.at >= self.broken {
                return Err(Box::new(Problem::new(ProblemCode::Internal, "the disk is gone")));
            }
            let rows: Vec<_> = (self.at + 1..=self.end.min(self.at + limit)).collect();
            self.at = rows.last().copied().unwrap_or(self.at);
            self.read.store(self.at, Ordering::Relaxed);
            Ok(rows.into_iter().map(|row| (row.to_string(), json!({"n": row, "t": "\"\n"}))).collect())
        }
    }

    fn numbers(end: u32) -> Numbers {
        Numbers { at: 0, end, broken: u32::MAX, largest: Arc::default(), read: Arc::default() }
    }

    /// The body, and how many pieces it came in.
    async fn sent(reply: Reply) -> Result<(Vec<u8>, usize), String> {
        let mut body = Response::from(reply).into_body();
        let (mut bytes, mut pieces) = (Vec::new(), 0);
        while let Some(frame) = body.frame().await {
            let piece = frame.map_err(|error| error.to_string())?.into_data().expect("data");
            bytes.extend_from_slice(&piece);
            pieces += 1;
        }
        Ok((bytes, pieces))
    }

    #[tokio::test]
    async fn a_page_is_what_it_would_be_in_one_piece() {
        for rows in [0, 1, 2, 31, 32, 33, 63, 64, 65, 99, 100] {
            for limit in [1, 2, 30, 31, 32, 33, 63, 64, 65, 99, 100, 1_000, u32::MAX] {
                let shown = rows.min(limit);
                let expected: Vec<_> = (1..=shown).map(|row| json!({"n": row, "t": "\"\n"})).collect();
                let next = (rows > limit).then(|| shown.to_string());
                let list = serde_json::to_string(&expected).expect("JSON");
                let next = serde_json::to_string(&next).expect("JSON");
                let expected = format!("{{\"rows\":{list},\"next_cursor\":{next}}}\n");
                let rest = numbers(rows);
                let largest = Arc::clone(&rest.largest);
                let (bytes, pieces) =
                    sent(page("rows", limit, rest).await.expect("a page")).await.expect("it");
                assert_eq!(String::from_utf8(bytes).expect("text"), expected, "{limit} of {rows}");
                assert!(largest.load(Ordering::Relaxed) <= PART);
                assert!(pieces > usize::from(shown > PART), "{limit} of {rows} in {pieces} pieces");
            }
        }
    }

    #[tokio::test]
    async fn what_nobody_takes_is_not_read() {
        let list = numbers(1_000);
        let read = Arc::clone(&list.read);
        let reply = page("rows", 1_000, list).await.expect("a first part");
        let mut body = Response::from(reply).into_body();
        for parts in [1, 1, 2, 3, 4] {
            assert_eq!(read.load(Ordering::Relaxed), parts * PART);
            assert!(body.frame().await.is_some_and(|frame| frame.is_ok()));
        }
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_refused_at_first_and_cuts_the_page_off_later() {
        let refused = page("rows", 100, Numbers { broken: 0, ..numbers(100) }).await;
        assert_eq!(refused.map_err(|problem| problem.detail).err().as_deref(), Some("the disk is gone"));
        let cut = page("rows", 100, Numbers { broken: PART, ..numbers(100) }).await.expect("a first part");
        assert_eq!(sent(cut).await.err().as_deref(), Some("the disk is gone"));
    }
}
