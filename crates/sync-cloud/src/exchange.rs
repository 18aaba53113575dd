//! One request and its whole answer within one deadline.
//!
//! Sends, and reads as much of the body as its status deserves; what the answer means is read elsewhere.

use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Request, Response};
use sync_core::{Answer, Hints, Suspect, Timestamp, Unreachable};
use tokio::time::{Duration, Instant};

use crate::client::Cloud;
use crate::{trouble, wait};

/// More than this of a 2xx is not read.
const LONGEST_BODY: usize = 4 << 20;
/// More than this of a refusal is not read: it is only looked through for words.
const LONGEST_REFUSAL: usize = 64 << 10;
/// A refusal is known by its status; its words are not waited for longer than this.
const REFUSAL_PATIENCE: Duration = Duration::from_secs(5);

/// An answer that arrived.
#[derive(Debug)]
pub(crate) struct Exchange {
    /// The HTTP status.
    pub(crate) status: u16,
    /// Its headers.
    pub(crate) headers: HeaderMap,
    /// Its body; empty for a redirect and for a page that is HTML.
    pub(crate) body: Vec<u8>,
}

impl Exchange {
    /// Whether it calls itself a page for people.
    pub(crate) fn is_page(&self) -> bool {
        is_page(&self.headers)
    }

    /// What a 2xx asks of the daemons.
    pub(crate) fn hints(&self) -> Hints {
        if is_success(self.status) { wait::hints(&self.headers) } else { Hints::default() }
    }

    /// Its Date.
    pub(crate) fn date(&self) -> Option<Timestamp> {
        wait::date(&self.headers)
    }
}

/// Sends `request`; the error is what kept an answer from arriving whole, or from being sent at all.
pub(crate) async fn exchange(cloud: &Cloud, request: Result<Request, String>) -> Result<Exchange, Answer> {
    let request = request.map_err(Answer::Internal)?;
    let limit = cloud.settings.request_timeout;
    // A limit of its own: building reads files, and they may be on a mount that hangs.
    let slow = || Suspect::Certificate("the trusted certificates could not be read in time".to_owned());
    let client = tokio::time::timeout(limit, cloud.client()).await.unwrap_or_else(|_elapsed| Err(slow()));
    let client = client.map_err(Answer::Suspect)?;
    let deadline = Instant::now() + limit;
    let whole = async {
        let response = client.execute(request).await.map_err(|failure| trouble::answer(&failure))?;
        receive(response, deadline).await
    };
    tokio::time::timeout_at(deadline, whole)
        .await
        .unwrap_or(Err(Answer::Unreachable(Unreachable::AnswerTimeout)))
}

async fn receive(mut response: Response, deadline: Instant) -> Result<Exchange, Answer> {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let mut body = Vec::new();
    if is_success(status) {
        if !is_page(&headers) {
            read_whole(&mut response, &mut body).await?;
        }
    } else if !(100..400).contains(&status) {
        let patience = deadline.min(Instant::now() + REFUSAL_PATIENCE);
        // Words that break off or do not come are no reason to forget the refusal.
        if tokio::time::timeout_at(patience, read_start(&mut response, &mut body)).await.is_err() {
            tracing::debug!(status, "a refusal's words did not come whole");
        }
    }
    Ok(Exchange { status, headers, body })
}

async fn read_whole(response: &mut Response, body: &mut Vec<u8>) -> Result<(), Answer> {
    let too_long = || Answer::Suspect(Suspect::NotTheContract("the answer is longer than 4 MiB".to_owned()));
    if response.content_length().is_some_and(|length| length > LONGEST_BODY as u64) {
        return Err(too_long());
    }
    while let Some(piece) = response.chunk().await.map_err(|failure| trouble::answer(&failure))? {
        if body.len() + piece.len() > LONGEST_BODY {
            return Err(too_long());
        }
        body.extend_from_slice(&piece);
    }
    Ok(())
}

async fn read_start(response: &mut Response, body: &mut Vec<u8>) {
    while let Ok(Some(piece)) = response.chunk().await {
        body.extend_from_slice(&piece);
        if body.len() >= LONGEST_REFUSAL {
            body.truncate(LONGEST_REFUSAL);
            return;
        }
    }
}

fn is_success(status: u16) -> bool {
    (200..300).contains(&status)
}

fn is_page(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    matches!(kind.as_str(), "text/html" | "application/xhtml+xml")
}
