#!/usr/bin/env python3
"""Makes state/src/messages.dict: what messages have in common, by which the cache compresses those that rest.

    scripts/message-dictionary.py [FOLDER]     needs zstd, the program; FOLDER keeps the samples

The samples are made up: messages in the shape in which Discord documents them, with words of a dozen languages in
the frequencies that chats have. No text of anybody is in it. They are what state/ compresses: the values that stand
apart from a document's keys (event/src/shape.rs), one behind the other.

A dictionary that ships never changes, for stores name it by their form: another one is another form.
"""

import math
import pathlib
import random
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUT = ROOT / "state" / "src" / "messages.dict"
SAMPLES = 20_000
DICTIONARY_BYTES = 16 << 10
LEVEL = 6

WORDS = """
the to a i and you is it that in of for on this but be my not have with so just me are was what like do if its at can
or no we as get your they how all dont one know im when good up would there think about out from will want now he lol
an then really time go some see need make well has people got more because why need only even thanks yes right also
still should them here yeah had could did been which work other than much first back new way something server bot role
channel message game play team today tomorrow night please help thank sorry maybe someone anyone everyone never always
better best nice cool great love hate lmao bruh gg wtf omg idk tbh btw imo afk brb ok okay sure thing things lot little
day week year old same down off over where who any try use using update version code error fix issue problem working
does doesnt cant isnt wont didnt thats whats theres youre theyre gonna wanna gotta kinda probably actually literally
again before after into around through without between most many each every another such own few both while though
der die das und ich nicht ist es du ein eine zu mit auf für auch noch aber wie so was mal ja nein wenn dann schon habe
kann sind wir ihr gut danke bitte heute morgen leute
le la les de des un une et je tu il est pas que qui pour dans sur avec mais plus bien oui non merci salut
el los las que no se lo por con para una como pero más todo bien gracias hola jugar
o os as não um uma com mas por isso aqui obrigado valeu
и в не на я что с это как а то все так он у но за вы да
です ます した する それ これ ない いい ありがとう
bir ve bu ne için çok var yok tamam
nie to jest tak na się co jak dzięki
""".split()
EMOJI = ["😂", "👍", "❤️", "😭", "🔥", "🙏", "💀", "😅", "🎉", "👀", "✅", "❌", "🤔", "😎"]
NAMES = """
alex sam max luna nova shadow dark light wolf fox cat dragon pixel king queen lord mister the real its just not moon star
sky ice fire storm ghost ninja pro gamer dev coder bot helper mod admin guard music kai leo mia zoe finn rex ace blue red
green gold silver chill cosmic frost echo raven
""".split()
DOMAINS = ["https://www.youtube.com/watch?v=", "https://youtu.be/", "https://tenor.com/view/", "https://github.com/",
           "https://x.com/", "https://www.reddit.com/r/", "https://open.spotify.com/track/", "https://discord.gg/",
           "https://en.wikipedia.org/wiki/", "https://store.steampowered.com/app/", "https://imgur.com/"]

KEYS = {line.split()[0]: number for number, line in enumerate(
    line for line in (ROOT / "event" / "keys.txt").read_text().splitlines()
    if line and not line.startswith("#") and not line.startswith("["))}
DEPTH = 7
LIST_MAX = 3


class Id(int):
    """A snowflake."""


def value(item):
    """A value as a document has it (event/src/format.rs)."""
    if item is None or item is False or item is True:
        return bytes([{None: 0, False: 1, True: 2}[item]])
    if isinstance(item, Id):
        return b"\x08" + item.to_bytes(8, "little")
    if isinstance(item, int):
        if item < 96:
            return bytes([0x20 + item])
        for tag, size in ((3, 1), (4, 2), (5, 4), (6, 8)):
            if item < 1 << (8 * size - 1):
                return bytes([tag]) + item.to_bytes(size, "little")
    if isinstance(item, str):
        text = item.encode()
        return (bytes([0x80 + len(text)]) if len(text) < 128 else b"\x0a" + len(text).to_bytes(2, "little")) + text
    if isinstance(item, list):
        content = b"".join(map(value, item))
        return b"\x0e" + len(content).to_bytes(2, "little") + content if content else b"\x0c"
    content = b"".join(key(name) + value(of) for name, of in item.items())
    return b"\x10" + len(content).to_bytes(2, "little") + content if content else b"\x0d"


def key(name):
    return KEYS[name].to_bytes(2, "little")


def rest(document, depth=1):
    """The values that are in no shape (event/src/shape.rs)."""
    return b"".join(rest_of(item, depth) for item in document.values())


def rest_of(item, depth):
    if item is None or item is False or item is True or item in ([], {}):
        return b""
    if isinstance(item, Id):
        return value(item)[1:]
    if isinstance(item, dict) and depth < DEPTH:
        return rest(item, depth + 1)
    if isinstance(item, list) and depth < DEPTH and len(item) <= LIST_MAX and all(isinstance(one, dict) for one in item):
        return b"".join(rest_of(one, depth + 1) for one in item)
    return value(item)


def snowflake(dice):
    """Of the last ten years."""
    return Id((dice.randrange(10 * 365 * 86_400_000) + 50_000_000_000) << 22 | dice.randrange(1 << 22))


def words(dice, weights, count):
    chosen = dice.choices(WORDS, weights, k=count)
    if dice.random() < 0.3:
        chosen[0] = chosen[0].capitalize()
    for place in range(count):
        if dice.random() < 0.08:
            chosen[place] += dice.choice([",", ".", "!", "?", "...", ":"])
    return " ".join(chosen)


def content(dice, weights):
    text = words(dice, weights, max(1, min(150, int(math.exp(dice.gauss(1.9, 1.0))))))
    roll = dice.random()
    if roll < 0.05:
        text += " " + dice.choice(EMOJI) * dice.randrange(1, 4)
    elif roll < 0.12:
        text = f"<@{snowflake(dice)}> " + text
    elif roll < 0.18:
        text += " " + dice.choice(DOMAINS) + "".join(dice.choices("abcdefghijkmnpqrstuvwxyzABCDEFGHJK0123456789-_", k=11))
    elif roll < 0.23:
        text += f" <:{dice.choice(NAMES)}:{snowflake(dice)}>"
    elif roll < 0.25:
        text = f"```\n{text}\n```"
    return text


def time(dice):
    return (f"20{dice.randrange(24, 28)}-{dice.randrange(1, 13):02}-{dice.randrange(1, 29):02}T{dice.randrange(24):02}:"
            f"{dice.randrange(60):02}:{dice.randrange(60):02}.{dice.randrange(1000):03}000+00:00")


def name(dice):
    return "".join(dice.choices(NAMES, k=dice.randrange(1, 3))) + dice.choice(["", "", "_", ".", str(dice.randrange(1000))])


def digest(dice):
    return f"{dice.getrandbits(128):032x}"


def user(dice):
    is_bot = dice.random() < 0.15
    shown = name(dice).title() if dice.random() < 0.7 else None
    out = {"username": name(dice), "public_flags": dice.choice([0, 0, 0, 64, 128, 256, 4194304]),
           "primary_guild": None, "id": snowflake(dice), "global_name": shown, "display_name_styles": None,
           "discriminator": "0" if not is_bot else f"{dice.randrange(10_000):04}", "collectibles": None,
           "clan": None}
    if is_bot:
        out["bot"] = True
    out["avatar_decoration_data"] = None
    out["avatar"] = (dice.choice(["", "", "a_"]) + digest(dice)) if dice.random() < 0.8 else None
    return {key: of for key, of in out.items() if key in KEYS}


def member(dice):
    out = {"roles": [snowflake(dice) for _ in range(min(20, int(dice.expovariate(0.3))))],
           "premium_since": time(dice) if dice.random() < 0.05 else None, "pending": False,
           "nick": name(dice) if dice.random() < 0.25 else None, "mute": False, "joined_at": time(dice),
           "flags": dice.choice([0, 0, 0, 2, 10]), "deaf": False, "communication_disabled_until": None,
           "banner": None, "avatar": None}
    return {key: of for key, of in out.items() if key in KEYS}


def attachment(dice):
    file = dice.choice(["image.png", "image0.jpg", "unknown.png", "video.mp4", "Screenshot_2026.png", "IMG_1234.jpg"])
    path = f"{snowflake(dice)}/{snowflake(dice)}/{file}?ex={dice.getrandbits(32):x}&is={dice.getrandbits(32):x}&hm={digest(dice)}{digest(dice)}&"
    return {"width": dice.randrange(100, 4000), "url": "https://cdn.discordapp.com/attachments/" + path,
            "size": dice.randrange(1000, 8_000_000), "proxy_url": "https://media.discordapp.net/attachments/" + path,
            "placeholder_version": 1, "placeholder": digest(dice)[:24], "id": snowflake(dice),
            "height": dice.randrange(100, 4000), "flags": 0, "filename": file, "content_type": "image/png"}


def embed(dice, weights):
    return {"type": "rich", "title": words(dice, weights, 4), "description": content(dice, weights), "color": dice.getrandbits(24),
            "fields": [{"value": words(dice, weights, 3), "name": words(dice, weights, 1), "inline": True}
                       for _ in range(dice.randrange(3))],
            "footer": {"text": words(dice, weights, 2)}}


def message(dice, weights, answers=True):
    out = {"type": 0, "tts": False, "timestamp": time(dice), "pinned": False, "nonce": str(snowflake(dice)),
           "mentions": [user(dice) | {"member": member(dice)}] if dice.random() < 0.1 else [],
           "mention_roles": [], "mention_everyone": False, "member": member(dice), "id": snowflake(dice),
           "flags": 0, "embeds": [embed(dice, weights)] if dice.random() < 0.1 else [], "edited_timestamp": None,
           "content": content(dice, weights), "components": [], "channel_type": 0, "channel_id": snowflake(dice),
           "author": user(dice), "attachments": [attachment(dice)] if dice.random() < 0.12 else [],
           "guild_id": snowflake(dice)}
    if answers and dice.random() < 0.15:
        of = message(dice, weights, answers=False)
        for left_out in ("nonce", "member", "guild_id"):
            del of[left_out]
        out = {"type": 19, "tts": False, "timestamp": out["timestamp"], "referenced_message": of,
               "message_reference": {"type": 0, "message_id": of["id"], "guild_id": out["guild_id"], "channel_id": out["channel_id"]},
               } | {key: of for key, of in out.items() if key not in ("type", "tts", "timestamp")}
    return {key: of for key, of in out.items() if key in KEYS}


def main():
    dice = random.Random(20_261_130)
    weights = [1 / (rank + 8) for rank in range(len(WORDS))]
    with tempfile.TemporaryDirectory() as made:
        folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else made)
        folder.mkdir(exist_ok=True)
        for number in range(SAMPLES):
            (folder / f"{number:05}").write_bytes(rest(message(dice, weights)))
        command = ["zstd", "-q", "--train", "-r", str(folder), f"-{LEVEL}", f"--maxdict={DICTIONARY_BYTES}",
                   "--dictID=1", "-f", "-o", str(OUT)]
        subprocess.run(command, check=True)


main()
