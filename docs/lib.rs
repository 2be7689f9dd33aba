//! The guide's pages as documentation, so that `cargo test --doc` compiles every block of code in them.
//! The book itself is `src/`, for people; nothing links this crate.

/// Each page by its name.
macro_rules! pages {
    ($($page:ident: $file:literal;)*) => {
        $(#[doc = include_str!(concat!("src/", $file))] pub mod $page {})*
    };
}

pages! {
    introduction: "introduction.md";
    first_bot: "first-bot.md";
    groups: "groups.md";
    failures: "failures.md";
    waiting: "waiting.md";
    old_and_new: "old-and-new.md";
    state: "state.md";
    commands: "commands.md";
    stages: "stages.md";
    testing: "testing.md";
    recording: "recording.md";
    bots: "bots.md";
    porting: "porting.md";
    proxy: "proxy.md";
    client_discordjs: "clients/discordjs.md";
    client_discordpy: "clients/discordpy.md";
    client_serenity: "clients/serenity.md";
    client_twilight: "clients/twilight.md";
    client_jda: "clients/jda.md";
    client_hikari: "clients/hikari.md";
    client_eris: "clients/eris.md";
    client_nostrum: "clients/nostrum.md";
    deploys: "deploys.md";
    watching: "watching.md";
    containers: "containers.md";
    sizing: "sizing.md";
    machines: "machines.md";
    glossary: "glossary.md";
}
