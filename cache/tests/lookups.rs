//! How often the store is asked: what is known already is not looked up again.

mod common;

use common::Cache;
use common::asked::asked;
use mixcord_state::Table;
use serde_json::{Value as Json, json};

fn member(id: u64) -> Json {
    let user = json!({"id": id.to_string(), "username": "a"});
    json!({"guild_id": "100", "user": user, "roles": [], "joined_at": null})
}

fn guild(members: u64) -> Json {
    let members: Vec<_> = (0..members).map(member).collect();
    json!({"id": "100", "name": "g", "member_count": members.len(), "members": members})
}

#[test]
fn whether_somebody_left_is_asked_once_for_a_list_of_members() {
    let mut cache = Cache::default();
    let mut times =
        |kind: &str, payload: &Json| asked(&mut cache, &[Table::Departed], kind, payload).len();
    assert_eq!(times("GUILD_CREATE", &guild(100)), 1);
    let chunk = json!({"guild_id": "100", "members": (120..190).map(member).collect::<Vec<_>>()});
    assert_eq!(times("GUILD_MEMBERS_CHUNK", &chunk), 1);
    let presence = json!({"guild_id": "100", "user": {"id": "5"}, "status": "online"});
    assert_eq!(times("PRESENCE_UPDATE", &presence), 0, "all are known");
}

#[test]
fn facts_of_a_guild_are_read_once_for_a_member() {
    let mut cache = Cache::default();
    cache.feed("GUILD_CREATE", guild(10));
    for (kind, id) in [("GUILD_MEMBER_ADD", 77), ("GUILD_MEMBER_UPDATE", 1)] {
        let asked = asked(&mut cache, &[Table::GuildFacts], kind, &member(id));
        assert_eq!(asked.len(), 1, "{kind}");
    }
}
