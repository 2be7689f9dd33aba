//! Resources that are switched off or on between two runs.

mod common;

use common::instance::{Instance, receive, send, settle};
use mixcord_cache::settings::Settings;
use mixcord_state::{Resource, Table};
use serde_json::{Value as Json, json};

#[test]
fn what_is_switched_off_is_forgotten_at_the_start() {
    let mut instance = Instance::new("off");
    instance.declare();
    let mut shard = instance.shard(0, 1);
    let member = json!({"user": {"id": "1", "username": "a"}, "roles": [], "joined_at": null});
    let create = json!({"id": "100", "name": "g", "member_count": 1, "members": [member], "roles": [{"id": "5", "name": "r"}], "channels": [{"id": "200", "type": 0, "name": "c"}]});
    let message = json!({"id": "900", "channel_id": "200", "guild_id": "100", "content": ""});
    send(&mut shard, (0, 1), &[("GUILD_CREATE", create), ("MESSAGE_CREATE", message)]);
    settle(&mut instance.engine());
    instance.settings = Settings::default()
        .without(Resource::Members)
        .without(Resource::Roles)
        .without(Resource::Messages);
    let delete = json!({"id": "900", "channel_id": "200", "guild_id": "100"});
    let role = json!({"guild_id": "100", "role_id": "5"});
    let remove = json!({"guild_id": "100", "user": {"id": "1"}});
    let events = [
        ("MESSAGE_DELETE", delete),
        ("GUILD_ROLE_DELETE", role),
        ("GUILD_MEMBER_REMOVE", remove),
        ("GUILD_UPDATE", json!({"id": "100"})),
    ];
    send(&mut shard, (0, 1), &events);
    settle(&mut instance.engine());
    let seen = receive(&mut instance.consumer());
    for out in &seen[2..5] {
        assert_eq!(out.old, Json::Null, "{}", out.kind);
    }
    assert_eq!(seen[5].old["name"], "g", "what is on stays");
    for table in [Table::Members, Table::Users, Table::Roles, Table::RoleOrder, Table::Messages] {
        assert!(instance.is_empty(table), "{table:?}");
    }
}

/// Members have their users inside where these are not cached, and users count the members that hold
/// them: what an earlier run kept in one form is of no use in the other.
#[test]
fn users_that_are_switched_off_or_on_come_again_with_their_members() {
    let mut instance = Instance::new("users-switched");
    instance.declare();
    let mut shard = instance.shard(0, 1);
    let mut consumer = instance.consumer();
    let member = |name: &str| json!({"user": {"id": "1", "username": name}, "roles": [], "joined_at": null, "guild_id": "100"});
    let create = json!({"id": "100", "name": "g", "member_count": 1, "members": [member("a")]});
    let update = |name: &str| ("GUILD_MEMBER_UPDATE", member(name));
    send(&mut shard, (0, 1), &[("GUILD_CREATE", create), update("b")]);
    settle(&mut instance.engine());
    assert_eq!(receive(&mut consumer)[1].old["user"]["username"], "a");
    let runs = [
        (Settings::default().without(Resource::Users), ["c", "d"]),
        (Settings::default(), ["e", "f"]),
    ];
    for (settings, names) in runs {
        instance.settings = settings;
        send(&mut shard, (0, 1), &names.map(update));
        settle(&mut instance.engine());
        let seen = receive(&mut consumer);
        let users = seen.iter().filter(|out| out.kind == "USER_UPDATE").count();
        assert_eq!(users, usize::from(instance.settings.caches(Resource::Users)));
        let members = seen.iter().filter(|out| out.kind == "GUILD_MEMBER_UPDATE");
        let olds: Vec<_> = members.map(|out| out.old["user"]["username"].as_str()).collect();
        assert_eq!(olds, [None, Some(names[0])]);
    }
    // With the settings of before, what there is stays, and the last holder erases the user.
    send(&mut shard, (0, 1), &[("GUILD_MEMBER_REMOVE", member("f"))]);
    settle(&mut instance.engine());
    let seen = receive(&mut consumer);
    assert_eq!(seen[0].old["user"]["username"], "f");
    for table in [Table::Members, Table::Users] {
        assert!(instance.is_empty(table), "{table:?}");
    }
}
