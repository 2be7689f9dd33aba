// discord.js, with one changed address.
import { Client, IntentsBitField } from 'discord.js';

const intents = new IntentsBitField(53608447);
const client = new Client({ intents, rest: { api: `http://${process.env.PROXY}/api` } });
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
client.on('raw', ({ t, s }) => say({ t, s }));
client.on('error', (error) => say({ error: `${error}` }));
setInterval(() => {
  const guilds = [...client.guilds.cache.values()].filter((guild) => guild.available);
  const count = (of) => guilds.reduce((sum, guild) => sum + of(guild), 0);
  say({
    guilds: guilds.length,
    members: count((guild) => guild.members.cache.size),
    channels: count((guild) => guild.channels.cache.filter((channel) => !channel.isThread()).size),
  });
}, 1000);
client.login(process.env.TOKEN);
