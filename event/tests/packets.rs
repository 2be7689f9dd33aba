//! P11: the packets of the command socket, byte by byte. A gateway and a consumer of any two releases
//! meet there, so what is written here never changes: a request with something more in it is a command
//! of its own, at the end of the list, and has a line of its own here.

use mixcord_event::command::{Command, Refusal, Reply, Request, Target};
use mixcord_event::send::{
    Activity, PresenceUpdate, RequestChannelInfo, RequestMembers, RequestSounds, VoiceState,
};

/// Every command, and what it is in a packet to the shard of its guild, behind version and target.
fn commands() -> Vec<(Command, &'static [u8])> {
    let activity = Activity { name: "n".into(), kind: 3, state: Some("s".into()), url: None };
    let presence = PresenceUpdate {
        since: Some(5),
        activities: vec![activity],
        status: "idle".into(),
        afk: true,
    };
    let voice =
        VoiceState { guild_id: 41, channel_id: Some(42), self_mute: true, self_deaf: false };
    let members = RequestMembers {
        guild_id: 41,
        query: Some("q".into()),
        limit: 7,
        user_ids: vec![300],
        presences: true,
        nonce: Some("x".into()),
    };
    let sounds = RequestSounds { guild_ids: vec![41, 42] };
    let info = RequestChannelInfo { guild_id: 41, fields: vec!["status".into()] };
    vec![
        (presence.into(), b"\x00\x01\x05\x01\x01n\x03\x01\x01s\x00\x04idle\x01"),
        (voice.into(), b"\x01\x29\x01\x2a\x01\x00"),
        (members.into(), b"\x02\x29\x01\x01q\x07\x01\xfb\x2c\x01\x01\x01\x01x"),
        (sounds.into(), b"\x03\x02\x29\x2a"),
        (info.into(), b"\x04\x29\x01\x06status"),
        (Command::Reconnect, b"\x05"),
        (Command::Pause { seconds: 300 }, b"\x06\xfb\x2c\x01"),
    ]
}

#[test]
fn requests_never_change() {
    for (command, bytes) in commands() {
        let targets: [(Target, &[u8]); 3] = [
            (Target::Guild, b"\x00"),
            (Target::Shard(300), b"\x01\xfb\x2c\x01"),
            (Target::All, b"\x02"),
        ];
        for (target, to) in targets {
            let packet = [b"\x01", to, bytes].concat();
            let request = Request { target, command: command.clone() };
            assert_eq!(request.encode(), Some(packet.clone()), "{request:?}");
            assert_eq!(Request::decode(&packet), Some(request));
        }
    }
}

#[test]
fn replies_never_change() {
    let refusals: [(Refusal, &[u8]); 6] = [
        (Refusal::Malformed, b"\x00"),
        (Refusal::Invalid("no".into()), b"\x01\x02no"),
        (Refusal::WrongShard { shard: 3 }, b"\x02\x03"),
        (Refusal::NotConnected { shard: 3 }, b"\x03\x03"),
        (Refusal::RateLimited { retry_after_ms: 300 }, b"\x04\xfb\x2c\x01"),
        (Refusal::Other { why: "no".into(), retry_after_ms: Some(9) }, b"\x05\x02no\x01\x09"),
    ];
    let mut replies = vec![(Reply::Accepted, b"\x00".to_vec())];
    for (refusal, bytes) in refusals {
        replies.push((Reply::Refused(refusal.clone()), [b"\x01", bytes].concat()));
        let partly = Reply::Partly { refused: vec![(6, refusal)] };
        replies.push((partly, [b"\x02\x01\x06", bytes].concat()));
    }
    for (reply, bytes) in replies {
        let packet = [b"\x01", &bytes[..]].concat();
        assert_eq!(reply.encode(), Some(packet.clone()), "{reply:?}");
        assert_eq!(Reply::decode(&packet), Some(reply));
    }
}

/// What a release does not know it does not take for something else: the next command, the next target, a
/// command with more in it.
#[test]
fn what_comes_later_is_refused_and_not_misread() {
    for (_, bytes) in commands() {
        assert_eq!(Request::decode(&[b"\x01\x00", bytes, b"\x01"].concat()), None);
        assert_eq!(Request::decode(&[b"\x01\x03", bytes].concat()), None);
    }
    assert_eq!(Request::decode(b"\x01\x00\x07\x29"), None);
    assert_eq!(Reply::decode(b"\x01\x03"), None);
}
