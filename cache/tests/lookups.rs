//! How often the store is asked: what is known already is not looked up again.

mod common;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use common::{At, feed};
use mixcord_cache::settings::Settings;
use mixcord_cache::store::{Changes, MemoryStore, Overlay};
use mixcord_state::{Key, Read, StoreError, Table};
use serde_json::{Value as Json, json};

/// A store that counts questions.
#[derive(Default)]
struct Asked {
    store: MemoryStore,
    count: RefCell<BTreeMap<Table, usize>>,
}

impl Asked {
    fn count(&self, table: Table) {
        *self.count.borrow_mut().entry(table).or_default() += 1;
    }

    /// How often a table is asked for while an event is annotated.
    fn during(&self, table: Table, kind: &str, payload: &Json) -> usize {
        self.count.borrow_mut().clear();
        let mut changes = Changes::default();
        let mut overlay = Overlay::new(self, &mut changes);
        feed(&mut overlay, &Settings::default(), kind, payload, At::default());
        self.count.borrow().get(&table).copied().unwrap_or(0)
    }
}

impl Read for Asked {
    fn get(&self, table: Table, key: Key) -> Result<Option<&[u8]>, StoreError> {
        self.count(table);
        self.store.get(table, key)
    }

    fn scan(
        &self,
        table: Table,
        range: RangeInclusive<Key>,
        visit: &mut dyn FnMut(Key, &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        self.count(table);
        self.store.scan(table, range, visit)
    }
}

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
    let asked = Asked::default();
    assert_eq!(asked.during(Table::Departed, "GUILD_CREATE", &guild(100)), 1);
    let mut asked = asked;
    feed(&mut asked.store, &Settings::default(), "GUILD_CREATE", &guild(10), At::default());
    let chunk = json!({"guild_id": "100", "members": (20..90).map(member).collect::<Vec<_>>()});
    assert_eq!(asked.during(Table::Departed, "GUILD_MEMBERS_CHUNK", &chunk), 1);
    let presence = json!({"guild_id": "100", "user": {"id": "5"}, "status": "online"});
    assert_eq!(asked.during(Table::Departed, "PRESENCE_UPDATE", &presence), 0, "all are known");
}

#[test]
fn facts_of_a_guild_are_read_once_for_a_member() {
    let mut asked = Asked::default();
    feed(&mut asked.store, &Settings::default(), "GUILD_CREATE", &guild(10), At::default());
    for (kind, id) in [("GUILD_MEMBER_ADD", 77), ("GUILD_MEMBER_UPDATE", 1)] {
        assert_eq!(asked.during(Table::GuildFacts, kind, &member(id)), 1, "{kind}");
    }
}
