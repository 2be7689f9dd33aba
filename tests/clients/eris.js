// eris. Its REST speaks HTTPS alone, so it is told where the gateway is, and nothing else.
import Eris from 'eris';

const bot = new Eris(`Bot ${process.env.TOKEN}`, { intents: 53608447, restMode: false });
bot.getBotGateway = async () => ({
  url: `ws://${process.env.PROXY}`,
  shards: 1,
  session_start_limit: { total: 1000, remaining: 1000, reset_after: 0, max_concurrency: 1 },
});
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
bot.on('rawWS', ({ op, t, s }) => op === 0 && say({ t, s }));
bot.on('error', (error) => say({ error: `${error}` }));
setInterval(() => {
  const guilds = [...bot.guilds.values()];
  const count = (of) => guilds.reduce((sum, guild) => sum + of(guild), 0);
  say({
    guilds: guilds.length,
    members: count((guild) => guild.members.size),
    channels: count((guild) => guild.channels.size),
  });
}, 1000);
bot.connect();
