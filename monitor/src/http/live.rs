//! Server-sent events: what the page lives on.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{Stream, unfold};
use hyper::body::Frame;
use tokio::sync::{broadcast, watch};

use super::Site;

enum Stage {
    /// What was before the page was opened.
    Before,
    Live,
}

struct Viewer {
    site: Arc<Site>,
    frames: watch::Receiver<Arc<str>>,
    news: broadcast::Receiver<(&'static str, String)>,
    stage: Stage,
}

/// `history`, `gaps`, then a `frame` a tick, and `update`s where they are allowed.
pub(super) fn stream(
    site: Arc<Site>,
) -> impl Stream<Item = Result<Frame<Bytes>, Infallible>> + Send {
    let (mut frames, news) = (site.ticker.listen(), site.events.listen());
    // What there is already is news to it.
    frames.mark_changed();
    let viewer = Viewer { site, frames, news, stage: Stage::Before };
    unfold(viewer, |mut viewer| async move {
        let text = viewer.next().await?;
        Some((Ok(Frame::data(text.into())), viewer))
    })
}

impl Viewer {
    async fn next(&mut self) -> Option<String> {
        if matches!(self.stage, Stage::Before) {
            self.stage = Stage::Live;
            let about = format!(r#"{{"show_events":{}}}"#, self.site.shows_events);
            let history = event("history", &self.site.ticker.history());
            let gaps = event("gaps", &self.site.events.gaps());
            return Some(event("about", &about) + &history + &gaps);
        }
        loop {
            tokio::select! {
                changed = self.frames.changed() => {
                    changed.ok()?;
                    let frame = Arc::clone(&self.frames.borrow_and_update());
                    if !frame.is_empty() {
                        return Some(event("frame", &frame));
                    }
                }
                news = self.news.recv() => match news {
                    Ok((name, data)) => return Some(event(name, &data)),
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return None,
                },
            }
        }
    }
}

/// JSON has no line breaks of its own, so it is one line of data.
fn event(name: &str, data: &str) -> String {
    format!("event: {name}\ndata: {data}\n\n")
}
