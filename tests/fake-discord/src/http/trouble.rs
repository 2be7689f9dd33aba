//! Answers of HTTP that a test has changed: `/gateway/bot`, the other routes of the API and the
//! handshake, each apart from the sessions that are connected.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use super::{Request, Response};
use crate::gateway::hub::Hub;

/// No answer is kept waiting longer.
const DELAY_MAX_MS: u64 = 600_000;
/// The period of the rate limit that `/gateway/bot` tells.
const LIMIT: Duration = Duration::from_secs(5);

/// What was changed.
#[derive(Debug, Default)]
pub(crate) struct Troubles {
    bot: Mutex<Bot>,
    rest: Mutex<Trouble>,
    upgrade: Mutex<Trouble>,
}

/// What `/gateway/bot` says beside the budget, where that is not the server's own.
#[derive(Clone, Debug, Default)]
struct Bot {
    shards: Option<u64>,
    url: Option<String>,
    trouble: Trouble,
}

/// How a request fails, or how late it is answered.
#[derive(Clone, Debug, Default)]
struct Trouble {
    /// Answered instead of what is right.
    status: Option<u16>,
    /// Seconds, told with `status`.
    retry_after: Option<f64>,
    delay: Duration,
    /// How many requests meet it; all without a number.
    times: Option<u64>,
}

impl Troubles {
    /// `POST /fake/bot`: the members of the body are taken over, or the parameters where there is no
    /// body; `null` brings the server's own value back.
    pub(crate) fn change_bot(&self, hub: &Hub, request: &Request) -> Response {
        let changed = members(request).and_then(|members| {
            // Nothing is taken over of a request that makes no sense.
            let (mut now, mut bot) = (hub.budget.account(), self.bot().clone());
            let mut account = now.clone();
            for (name, value) in members {
                match name.as_str() {
                    "shards" => bot.shards = number(&name, &value)?,
                    "url" => bot.url = text(&name, &value)?,
                    "total" => account.total = number(&name, &value)?.unwrap_or(account.total),
                    "remaining" => {
                        account.remaining = number(&name, &value)?.unwrap_or(account.total);
                    }
                    "reset_after" => {
                        let millis = number(&name, &value)?.unwrap_or(86_400_000).min(86_400_000);
                        account.whole_at = Instant::now() + Duration::from_millis(millis);
                    }
                    "max_concurrency" => {
                        let own = hub.config.max_concurrency;
                        account.max_concurrency = number(&name, &value)?.unwrap_or(own);
                    }
                    _ => bot.trouble.change(&name, &value)?,
                }
            }
            *self.bot() = bot;
            *now = account;
            Ok(())
        });
        answer(changed, || self.told(hub))
    }

    /// `POST /fake/rest`: all of the API, `/gateway/bot` with it.
    pub(crate) fn change_rest(&self, request: &Request) -> Response {
        answer(change(&self.rest, request), || lock(&self.rest).to_json())
    }

    /// `POST /fake/upgrade`: the handshake that makes a connection a websocket.
    pub(crate) fn change_upgrade(&self, request: &Request) -> Response {
        answer(change(&self.upgrade, request), || lock(&self.upgrade).to_json())
    }

    /// Waits, or answers in the place of the API.
    pub(crate) async fn of_rest(&self, path: &str) -> Option<Response> {
        let of_bot = (path.trim_end_matches('/') == "gateway/bot")
            .then(|| self.bot().trouble.meet())
            .flatten();
        let met = lock(&self.rest).meet().or(of_bot);
        met?.answer().await
    }

    /// Waits, or answers in the place of the handshake.
    pub(crate) async fn of_upgrade(&self) -> Option<Response> {
        let met = lock(&self.upgrade).meet();
        met?.answer().await
    }

    /// G-1.
    pub(crate) fn gateway_bot(&self, hub: &Hub) -> Response {
        // Libraries read these of every route; no request here is one too many.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let limit = [
            ("X-RateLimit-Limit", "2".to_owned()),
            ("X-RateLimit-Remaining", "1".to_owned()),
            ("X-RateLimit-Reset", format!("{:.3}", (now + LIMIT).as_secs_f64())),
            ("X-RateLimit-Reset-After", format!("{:.3}", LIMIT.as_secs_f64())),
            ("X-RateLimit-Bucket", "41f9cd5d28af77da04563bcb1d67fdfd".to_owned()),
        ];
        Response { headers: limit.into(), ..Response::json(200, &self.told(hub)) }
    }

    fn told(&self, hub: &Hub) -> Value {
        let (bot, account) = (self.bot().clone(), hub.budget.account().clone());
        let left = account.whole_at.saturating_duration_since(Instant::now());
        json!({
            "url": bot.url.unwrap_or_else(|| hub.gateway_url()),
            "shards": bot.shards.unwrap_or(hub.feeds.len() as u64),
            "session_start_limit": {
                "total": account.total,
                "remaining": account.remaining,
                "reset_after": u64::try_from(left.as_millis()).unwrap_or(u64::MAX),
                "max_concurrency": account.max_concurrency,
            },
        })
    }

    fn bot(&self) -> MutexGuard<'_, Bot> {
        lock(&self.bot)
    }
}

impl Trouble {
    fn change(&mut self, name: &str, value: &Value) -> Result<(), String> {
        match name {
            "status" => {
                let status = number(name, value)?.filter(|status| *status != 200);
                let known =
                    |status| u16::try_from(status).ok().filter(|it| (400..600).contains(it));
                self.status = match status {
                    None => None,
                    Some(status) => {
                        Some(known(status).ok_or("status must be 200, or from 400 to 599")?)
                    }
                };
            }
            "retry_after" => {
                let seconds = value.as_f64().filter(|seconds| *seconds >= 0.0);
                if seconds.is_none() && !value.is_null() {
                    return Err("retry_after must be a number of seconds".to_owned());
                }
                self.retry_after = seconds;
            }
            "delay_ms" => {
                let millis = number(name, value)?.unwrap_or(0).min(DELAY_MAX_MS);
                self.delay = Duration::from_millis(millis);
            }
            "times" => self.times = number(name, value)?,
            _ => return Err(format!("nothing is called {name:?} here")),
        }
        Ok(())
    }

    /// What one more request meets.
    fn meet(&mut self) -> Option<Self> {
        if self.status.is_none() && self.delay.is_zero() {
            return None;
        }
        match &mut self.times {
            None => {}
            Some(0) => return None,
            Some(times) => *times -= 1,
        }
        Some(self.clone())
    }

    async fn answer(self) -> Option<Response> {
        tokio::time::sleep(self.delay).await;
        let status = self.status?;
        let Some(seconds) = self.retry_after else {
            return Some(Response::error(status, 0, super::reason(status)));
        };
        let body = json!({
            "message": super::reason(status), "code": 0, "retry_after": seconds, "global": false,
        });
        let headers = vec![("Retry-After", seconds.ceil().to_string())];
        Some(Response { headers, ..Response::json(status, &body) })
    }

    fn to_json(&self) -> Value {
        json!({
            "status": self.status.unwrap_or(200),
            "retry_after": self.retry_after,
            "delay_ms": u64::try_from(self.delay.as_millis()).unwrap_or(u64::MAX),
            "times": self.times,
        })
    }
}

fn change(trouble: &Mutex<Trouble>, request: &Request) -> Result<(), String> {
    let mut changed = lock(trouble).clone();
    for (name, value) in members(request)? {
        changed.change(&name, &value)?;
    }
    *lock(trouble) = changed;
    Ok(())
}

/// The body's members, or the parameters.
fn members(request: &Request) -> Result<Map<String, Value>, String> {
    if request.body.is_empty() {
        let value = |text: &str| serde_json::from_str(text).unwrap_or_else(|_| json!(text));
        return Ok(request.query.iter().map(|(name, text)| (name.clone(), value(text))).collect());
    }
    match serde_json::from_slice(&request.body) {
        Ok(Value::Object(members)) => Ok(members),
        _ => Err("the body has to be a JSON object".to_owned()),
    }
}

/// A whole number; none for `null`.
fn number(name: &str, value: &Value) -> Result<Option<u64>, String> {
    match value {
        Value::Null => Ok(None),
        value => value.as_u64().map(Some).ok_or_else(|| format!("{name} must be a whole number")),
    }
}

fn text(name: &str, value: &Value) -> Result<Option<String>, String> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone())),
        _ => Err(format!("{name} must be a text")),
    }
}

fn answer(changed: Result<(), String>, now: impl FnOnce() -> Value) -> Response {
    match changed {
        Ok(()) => Response::json(200, &now()),
        Err(why) => Response::error(400, 0, &why),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
