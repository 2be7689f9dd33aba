"""hikari, with one changed address."""

import asyncio
import json
import os

import hikari

bot = hikari.GatewayBot(
    os.environ["TOKEN"],
    intents=hikari.Intents(53608447 & hikari.Intents.ALL),
    rest_url=f"http://{os.environ['PROXY']}/api/v10",
    banner=None,
)


def say(line):
    print(json.dumps(line), flush=True)


@bot.listen()
async def dispatched(event: hikari.ShardPayloadEvent) -> None:
    # The number is not shown.
    say({"t": event.name, "s": None})


@bot.listen()
async def started(_: hikari.StartedEvent) -> None:
    asyncio.create_task(report())


async def report():
    while True:
        await asyncio.sleep(1)
        guilds = bot.cache.get_available_guilds_view()
        say(
            {
                "guilds": len(guilds),
                "members": sum(len(bot.cache.get_members_view_for_guild(guild)) for guild in guilds),
                "channels": sum(
                    len(bot.cache.get_guild_channels_view_for_guild(guild)) for guild in guilds
                ),
            }
        )


bot.run(check_for_updates=False)
