//! twilight-gateway, unchanged: it connects, identifies, receives and resumes.

use twilight_gateway::{
    CloseFrame, ConfigBuilder, EventTypeFlags, Intents, Shard, ShardId, StreamExt,
};

use crate::client::{ALL, PATIENCE, get, server};

async fn next(shard: &mut Shard) -> twilight_gateway::Event {
    let event = tokio::time::timeout(PATIENCE, shard.next_event(EventTypeFlags::all())).await;
    event.expect("an event in time").expect("a stream").expect("an event twilight understands")
}

#[tokio::test(flavor = "multi_thread")]
async fn twilight_identifies_receives_and_resumes() {
    // Only what twilight 0.18 has types for; it calls the others errors.
    let server = server(|config| {
        config.mix = "presence=4,message=4,typing=2,member-update=2,message-update=1".to_owned();
    })
    .await;
    let intents = Intents::from_bits_truncate(ALL);
    // A proxy's address is how twilight is told of another gateway than Discord's.
    let config = ConfigBuilder::new("abc".to_owned(), intents)
        .proxy_url(format!("ws://127.0.0.1:{}", server.port()))
        .build();
    let mut shard = Shard::with_config(ShardId::ONE, config);
    let mut kinds = std::collections::BTreeSet::new();
    for _ in 0..500 {
        kinds.insert(format!("{:?}", next(&mut shard).await.kind()));
    }
    for kind in ["GatewayHello", "Ready", "GuildCreate", "MessageCreate", "PresenceUpdate"] {
        assert!(kinds.contains(kind), "{kind} is missing: {kinds:?}");
    }
    shard.close(CloseFrame::RESUME);
    loop {
        if format!("{:?}", next(&mut shard).await.kind()) == "Resumed" {
            break;
        }
    }
    next(&mut shard).await;
    let status = get(&server, "/fake/status").await;
    assert_eq!(status["sessions"].as_array().map(Vec::len), Some(1), "one session all along");
    server.stop().await;
}
