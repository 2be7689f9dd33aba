"""discord.py, with its two constants changed."""

import asyncio
import json
import os

import discord
import yarl

PROXY = os.environ["PROXY"]
discord.http.Route.BASE = f"http://{PROXY}/api/v10"
discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(f"ws://{PROXY}/")


def say(line):
    print(json.dumps(line), flush=True)


class Bot(discord.Client):
    async def setup_hook(self):
        asyncio.create_task(self.report())

    async def on_socket_raw_receive(self, message):
        message = json.loads(message)
        if message["op"] == 0:
            say({"t": message["t"], "s": message["s"]})

    async def report(self):
        while True:
            await asyncio.sleep(1)
            guilds = [guild for guild in self.guilds if not guild.unavailable]
            say(
                {
                    "guilds": len(guilds),
                    "members": sum(len(guild.members) for guild in guilds),
                    "channels": sum(len(guild.channels) for guild in guilds),
                }
            )


Bot(intents=discord.Intents(53608447), enable_debug_events=True).run(os.environ["TOKEN"])
