//! Requests for members that the state answers.

use std::collections::VecDeque;

use mixcord::commands::RequestMembers;
use mixcord::event::{Document, Value, Writer};
use mixcord::state::{Entities, Error};
use mixcord::{State, atoms};

/// Members in a chunk (G-31).
const CHUNK: usize = 1000;
/// Members that a query, or a list of users, gives at most (G-31).
const NAMED_MAX: usize = 100;

/// An answer that is made chunk by chunk.
pub(crate) struct Answer {
    guild: u64,
    nonce: String,
    presences: bool,
    index: u64,
    count: u64,
    source: Source,
}

enum Source {
    All(Entities),
    Some { members: Vec<Document>, not_found: Vec<u64> },
}

impl Answer {
    /// The answer to a request, if the state is sure of it: it knows all members of the guild, or those named.
    pub(crate) fn of(
        state: &State,
        request: &RequestMembers,
        nonce: &str,
    ) -> Result<Option<Self>, Error> {
        let guild = request.guild_id;
        let Some((Some(members), cached)) = state.member_counts(guild)? else { return Ok(None) };
        let complete = cached >= members;
        let answer = |count, source| Self {
            guild,
            nonce: nonce.to_owned(),
            presences: request.presences,
            index: 0,
            count,
            source,
        };
        if !request.user_ids.is_empty() {
            let (mut members, mut not_found) = (Vec::new(), Vec::new());
            for &user in request.user_ids.iter().take(NAMED_MAX) {
                match state.member(guild, user)? {
                    Some(member) => members.push(member),
                    None if complete => not_found.push(user),
                    None => return Ok(None),
                }
            }
            return Ok(Some(answer(1, Source::Some { members, not_found })));
        }
        if !complete {
            return Ok(None);
        }
        let query = request.query.as_deref().unwrap_or_default().to_lowercase();
        if query.is_empty() && request.limit == 0 {
            let count = cached.div_ceil(CHUNK as u64).max(1);
            return Ok(Some(answer(count, Source::All(state.members(guild)))));
        }
        let limit = match request.limit as usize {
            0 => NAMED_MAX,
            limit => limit.min(NAMED_MAX),
        };
        let mut found = Vec::new();
        for member in state.members(guild).documents() {
            let member = member?;
            if is_called(&member, &query) {
                found.push(member);
            }
            if found.len() >= limit {
                break;
            }
        }
        Ok(Some(answer(1, Source::Some { members: found, not_found: Vec::new() })))
    }

    /// How many members it holds in memory.
    pub(crate) const fn held(&self) -> usize {
        match &self.source {
            Source::All(_) => 0,
            Source::Some { members, .. } => members.len(),
        }
    }

    /// The next GUILD_MEMBERS_CHUNK; `None` behind the last.
    pub(crate) fn next(&mut self, state: &State) -> Result<Option<Document>, Error> {
        if self.index >= self.count {
            return Ok(None);
        }
        let (members, not_found) = match &mut self.source {
            // Who joined meanwhile is told by an event of its own.
            Source::All(all) => (
                all.take(CHUNK).map(|found| Ok(found?.document)).collect::<Result<_, Error>>()?,
                Vec::new(),
            ),
            Source::Some { members, not_found } => {
                (std::mem::take(members), std::mem::take(not_found))
            }
        };
        let document = self.chunk(state, &members, &not_found)?;
        self.index += 1;
        Ok(Some(document))
    }

    fn chunk(
        &self,
        state: &State,
        members: &[Document],
        not_found: &[u64],
    ) -> Result<Document, Error> {
        let mut out = Vec::new();
        let mut chunk = Writer::new(&mut out).map();
        chunk.entry(atoms::GUILD_ID, Value::Id(self.guild));
        let mut list = chunk.list(atoms::MEMBERS);
        members.iter().for_each(|member| list.push(member.value()));
        drop(list);
        chunk.named("chunk_index", self.index);
        chunk.named("chunk_count", self.count);
        if !not_found.is_empty() {
            let mut list = chunk.named_list("not_found");
            not_found.iter().for_each(|user| list.push(Value::Id(*user)));
        }
        if self.presences {
            let mut presences = Vec::new();
            let users = members.iter().map(Document::value).filter_map(crate::world::user_of);
            for user in users {
                presences.extend(state.presence(self.guild, user)?);
            }
            let mut list = chunk.list(atoms::PRESENCES);
            presences.iter().for_each(|presence| list.push(presence.value()));
        }
        if !self.nonce.is_empty() {
            chunk.entry(atoms::NONCE, self.nonce.as_str());
        }
        chunk.end();
        Ok(Document::trusted(out))
    }
}

/// Answers of one client that are under way, in the order of its requests.
pub(crate) type Answers = VecDeque<Answer>;

/// Whether a member's name, global name or nick begins so.
fn is_called(member: &Document, query: &str) -> bool {
    let user = member.get(atoms::USER);
    let names = [
        member.get(atoms::NICK),
        user.and_then(|user| user.get(atoms::USERNAME)),
        user.and_then(|user| user.get(atoms::GLOBAL_NAME)),
    ];
    let names = names.into_iter().flatten().filter_map(Value::as_str);
    names.map(str::to_lowercase).any(|name| name.starts_with(query))
}
