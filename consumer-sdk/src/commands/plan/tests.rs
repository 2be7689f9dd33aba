use mixcord_event::send::{PresenceUpdate, RequestMembers};

use super::*;

fn socket(first: u16, count: u16, age: u64) -> Socket {
    let since = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000 - age);
    Socket { path: format!("{first}-{count}").into(), first, count, since }
}

fn plan(shard: Option<u16>, command: Command, sockets: Vec<Socket>) -> Plan {
    let mut plan = Plan::new("test", shard, command).expect("a sound command");
    plan.plan(sockets);
    plan
}

fn members(guild: u64) -> Command {
    RequestMembers { guild_id: (guild << 22) | 1, ..RequestMembers::default() }.into()
}

fn sounds(guilds: &[u64]) -> Command {
    RequestSounds { guild_ids: guilds.iter().map(|guild| (guild << 22) | 1).collect() }.into()
}

fn presence() -> Command {
    let status = "idle".to_owned();
    PresenceUpdate { since: None, activities: vec![], status, afk: false }.into()
}

/// Whom it asks, when these are gone, these run other shards and the others accept.
fn asked(plan: &mut Plan, gone: &[&str], wrong: &[&str]) -> Vec<String> {
    let mut asked = Vec::new();
    while let Some(step) = plan.next().expect("goes on") {
        let name = step.socket.to_str().expect("text").to_owned();
        plan.answered(match name.as_str() {
            name if gone.contains(&name) => Ok(None),
            name if wrong.contains(&name) => {
                Ok(Some(Reply::Refused(Refusal::WrongShard { shard: 0 })))
            }
            _ => Ok(Some(Reply::Accepted)),
        });
        asked.push(name);
    }
    asked
}

#[test]
fn g39_a_guild_goes_to_the_process_that_begins_nearest_below_its_shard() {
    let sockets = || vec![socket(0, 16, 5), socket(8, 16, 5), socket(12, 16, 5)];
    for (guild, whom) in [(0, "0-16"), (7, "0-16"), (9, "8-16"), (31, "12-16")] {
        let mut plan = plan(None, members(guild), sockets());
        assert_eq!(asked(&mut plan, &[], &[]), [whom]);
        assert!(plan.outcome().is_ok());
    }
}

#[test]
fn one_that_died_or_runs_less_is_passed_over() {
    let mut plan =
        plan(None, members(14), vec![socket(0, 16, 9), socket(8, 16, 5), socket(12, 16, 1)]);
    assert_eq!(asked(&mut plan, &["12-16"], &["8-16"]), ["12-16", "8-16", "0-16"]);
    assert!(plan.outcome().is_ok());
}

#[test]
fn nobody_who_runs_the_shard_is_an_error_that_names_it() {
    let mut plan = plan(None, members(14), vec![socket(0, 16, 9)]);
    assert_eq!(asked(&mut plan, &[], &["0-16"]), ["0-16"]);
    assert!(matches!(plan.outcome(), Err(Error::NoGateway { shard: Some(14), .. })));
    let mut plan = self::plan(None, members(14), vec![]);
    assert_eq!(asked(&mut plan, &[], &[]), Vec::<String>::new());
    assert!(matches!(plan.outcome(), Err(Error::NoGateway { shard: None, .. })));
}

#[test]
fn the_newest_shard_count_that_lives_is_asked() {
    let sockets = || vec![socket(0, 4, 9), socket(0, 8, 1), socket(4, 8, 2)];
    let mut both = plan(None, members(5), sockets());
    assert_eq!(asked(&mut both, &[], &[]), ["4-8"]);
    let mut old = plan(None, members(5), sockets());
    assert_eq!(asked(&mut old, &["0-8", "4-8"], &[]), ["4-8", "0-8", "0-4"]);
    assert!(old.outcome().is_ok());
}

/// Asks everybody, who answers as `answer` says for each socket's name.
fn ask(
    plan: &mut Plan,
    answer: impl Fn(&str) -> Result<Option<Reply>, Error>,
) -> Vec<(String, Target)> {
    let mut asked = Vec::new();
    while let Some(step) = plan.next().expect("goes on") {
        let name = step.socket.to_str().expect("text").to_owned();
        let request = Request::decode(&step.packet).expect("a request");
        plan.answered(answer(&name));
        asked.push((name, request.target));
    }
    asked
}

/// What of several failed: shard and text.
fn partly(plan: Plan) -> (usize, Vec<(u16, String)>) {
    match plan.outcome() {
        Err(Error::Partly { sent, failed }) => {
            let texts = failed.iter().map(|failed| (failed.shard, failed.error.to_string()));
            (sent, texts.collect())
        }
        other => panic!("{other:?}"),
    }
}

const ABSENT: Refusal = Refusal::NotConnected { shard: 3 };

#[test]
fn a_presence_goes_to_every_process_and_again_only_where_it_was_refused() {
    let sockets = || vec![socket(0, 4, 9), socket(2, 4, 1), socket(0, 2, 99)];
    let mut plan = plan(None, presence(), sockets());
    let first = ask(&mut plan, |name| {
        Ok(Some(if name == "2-4" { Reply::Refused(ABSENT) } else { Reply::Accepted }))
    });
    assert_eq!(first.len(), 2);
    assert!(plan.retry_after().is_some());
    plan.restart();
    plan.plan(sockets());
    assert_eq!(asked(&mut plan, &[], &[]), ["2-4"]);
    assert!(plan.outcome().is_ok());
}

#[test]
fn of_a_process_only_the_shards_that_refused_are_asked_again() {
    let sockets = || vec![socket(0, 4, 9), socket(2, 4, 1)];
    let mut plan = plan(None, presence(), sockets());
    ask(&mut plan, |name| {
        Ok(Some(if name == "2-4" {
            Reply::Partly { refused: vec![(3, ABSENT)] }
        } else {
            Reply::Accepted
        }))
    });
    for reply in [Reply::Refused(ABSENT), Reply::Accepted] {
        assert!(plan.retry_after().is_some());
        plan.restart();
        plan.plan(sockets());
        let again = ask(&mut plan, |_| Ok(Some(reply.clone())));
        assert_eq!(again, [("2-4".to_owned(), Target::Shard(3))]);
    }
    assert_eq!((plan.sent, plan.retry_after()), (2, None));
    assert!(plan.outcome().is_ok());
}

#[test]
fn what_may_have_been_sent_is_told_beside_what_was_and_is_not_sent_again() {
    let sockets = || vec![socket(0, 6, 3), socket(2, 6, 2), socket(4, 6, 1)];
    let mut plan = plan(None, presence(), sockets());
    ask(&mut plan, |name| match name {
        "0-6" => Err(Error::Timeout { waited: Duration::from_secs(1) }),
        "2-6" => Ok(Some(Reply::Refused(ABSENT))),
        _ => Ok(Some(Reply::Accepted)),
    });
    plan.restart();
    plan.plan(sockets());
    assert_eq!(asked(&mut plan, &[], &[]), ["2-6"]);
    assert_eq!(plan.retry_after(), None);
    let (sent, failed) = partly(plan);
    assert_eq!((sent, failed.len()), (2, 1));
    assert!(failed[0].0 == 0 && failed[0].1.contains("no answer"), "{failed:?}");
}

#[test]
fn p9_a_strangers_socket_is_passed_over_and_named_when_there_is_no_other() {
    let stranger = || Err(Error::Stranger { path: "x".into(), uid: 7 });
    let sockets = || vec![socket(0, 4, 9), socket(2, 4, 1), socket(0, 9, 0)];
    for command in [presence(), members(3)] {
        let mut plan = plan(None, command, sockets());
        let asked = ask(&mut plan, |name| match name {
            "0-4" => Ok(Some(Reply::Accepted)),
            _ => stranger(),
        });
        assert_eq!(asked.last().map(|(name, _)| name.as_str()), Some("0-4"));
        assert!(plan.outcome().is_ok());
    }
    let mut alone = plan(None, presence(), sockets());
    assert_eq!(ask(&mut alone, |_| stranger()).len(), 3);
    assert!(alone.retry_after().is_some(), "nothing was sent, and one of ours may come");
    assert!(matches!(alone.outcome(), Err(Error::Stranger { uid: 7, .. })));
}

#[test]
fn sounds_of_several_shards_are_asked_for_shard_by_shard() {
    let mut plan = plan(None, sounds(&[0, 1, 2, 4, 5]), vec![socket(0, 4, 1)]);
    let mut guilds = Vec::new();
    while let Some(step) = plan.next().expect("goes on") {
        let request = Request::decode(&step.packet).expect("a request");
        guilds.push(request.command.guilds().iter().map(|id| id >> 22).collect::<Vec<_>>());
        plan.answered(Ok(Some(Reply::Accepted)));
    }
    assert_eq!(guilds, [vec![0, 4], vec![1, 5], vec![2]]);
    assert!(plan.outcome().is_ok());
}

#[test]
fn g31_what_could_never_be_sent_is_refused_before_anybody_is_asked() {
    let command = RequestMembers { user_ids: vec![1; 101], ..RequestMembers::default() };
    assert!(matches!(Plan::new("test", None, command.into()), Err(Error::Invalid(_))));
}
