// The live page: draws each frame that /api/events sends. No library, nothing of another host.
'use strict';

const find = (selector, root = document) => root.querySelector(selector);
const make = (name, text, kind) => {
  const element = document.createElement(name);
  if (text !== undefined) element.textContent = text;
  if (kind) element.className = kind;
  return element;
};

// Numbers as people read them.
const number = (value) => Math.round(value).toLocaleString('en');
const short = (value) => {
  if (value >= 1e6) return `${(value / 1e6).toFixed(1)} M`;
  if (value >= 1e5) return `${Math.round(value / 1e3)} k`;
  return value > 0 && value < 10 ? value.toFixed(1) : number(value);
};
const bytes = (value) => {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  while (value >= 1024 && unit + 1 < units.length) { value /= 1024; unit += 1; }
  return `${value < 100 && unit > 0 ? value.toFixed(1).replace(/\.0$/, '') : Math.round(value)} ${units[unit]}`;
};
const span = (seconds) => {
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} d`;
};
const percent = (share) => `${Math.round(share * 100)} %`;
// For CSS, which knows no blank in it.
const part = (share) => `${Math.round(Math.min(share, 1) * 1000) / 10}%`;
const heat = (share) => (share >= 0.9 ? 'bad' : share >= 0.5 ? 'busy' : 'good');
const plural = (count, word) => `${number(count)} ${word}${count === 1 ? '' : 's'}`;

// Replaces the children only when they differ, so that a selection, a focus or a tooltip stays.
const fill = (parent, children) => {
  children.forEach((child, at) => {
    const old = parent.children[at];
    if (!old) parent.append(child);
    else if (!old.isEqualNode(child)) old.replaceWith(child);
  });
  while (parent.children.length > children.length) parent.lastElementChild.remove();
};

const bar = (share) => {
  const outer = make('div', undefined, `bar ${heat(share)}`);
  const inner = make('i');
  inner.style.setProperty('--full', part(share));
  outer.append(inner);
  return outer;
};

// A row of the frame's shards: the order is that of frame.rs.
const shardOf = ([[id, count, told, alive], [full, rate, lag], [latency, unread], [gaps, reconnects, session]]) => ({
  id, count, alive, full, rate, lag, latency, unread, gaps, reconnects, session,
  state: !alive ? (told === 'stopped' ? 'stopped' : 'gone') : unread !== null ? 'not read' : told,
});

function drawPipeline(frame, shards) {
  const node = (name, kind, big, note) => {
    const element = find(`#node-${name}`);
    element.className = `node ${kind}`;
    find('.big', element).textContent = big;
    element.lastElementChild.textContent = note;
  };
  const arrow = (name, text, flows, held) => {
    const element = find(`#arrow-${name}`);
    element.className = `arrow ${held ? 'held' : flows ? 'flows' : ''}`;
    find('b', element).textContent = text;
  };
  const usage = (name) => {
    const it = frame.processes.find((process) => process.process === name);
    if (!it) return ' ';
    const cpu = it.cpu === null ? '' : `${it.cpu.toFixed(2)} cores, `;
    return `${cpu}${bytes(it.memory_bytes)}`;
  };
  const connected = shards.filter((shard) => shard.state === 'connected').length;
  const all = connected === shards.length && connected > 0;
  node('discord', all ? 'good' : connected ? 'busy' : 'bad', `${connected} / ${shards.length}`, 'shards connected');
  node('gateway', frame.gateway ? 'good' : 'bad', frame.gateway ? 'live' : 'gone', usage('gateway'));
  node('cache', frame.cache ? 'good' : 'bad', frame.cache ? 'live' : 'gone', usage('cache'));
  const out = frame.rings.find((ring) => ring.name === 'out');
  const groups = out ? out.groups : [];
  const members = groups.reduce((sum, group) => sum + group.members, 0);
  const worst = out ? out.fullness : 0;
  node('groups', groups.length ? heat(worst) : '', plural(groups.length, 'group'), plural(members, 'member'));
  const fullest = shards.reduce((most, shard) => Math.max(most, shard.full), 0);
  arrow('in', short(frame.received), frame.received > 0, shards.some((shard) => shard.unread !== null));
  arrow('rings', percent(fullest), frame.published > 0, fullest >= 0.9);
  arrow('out', short(frame.published), frame.published > 0, worst >= 0.9);
}

function drawFindings(frame) {
  const section = find('#findings');
  section.hidden = frame.findings.length === 0;
  fill(find('ul', section), frame.findings.map((finding) => {
    const item = make('li', undefined, finding.severity);
    item.dataset.name = finding.name;
    const copy = make('button', 'copy');
    copy.type = 'button';
    item.append(make('span', finding.text), copy, make('code', finding.command));
    return item;
  }));
  const broken = frame.findings.some((finding) => finding.severity === 'broken');
  const verdict = find('#verdict');
  verdict.className = broken ? 'broken' : frame.found ? 'warning' : 'good';
  verdict.textContent = frame.found ? plural(frame.found, broken ? 'trouble' : 'warning') : 'all is well';
}

let chosen = null;
let known = [];
function drawShards(shards) {
  known = shards;
  const section = find('#shards');
  const grid = find('.grid', section);
  const counts = new Map();
  shards.forEach((shard) => counts.set(shard.state, (counts.get(shard.state) || 0) + 1));
  find('h2 small', section).textContent = shards.length ? number(shards.length) : 'none yet';
  fill(find('.legend', section), [...counts].sort().map(([state, count]) => {
    const item = make('li', `${state} ${number(count)}`);
    item.dataset.state = state;
    return item;
  }));
  const [cell, gap] = shards.length > 512 ? [13, 2] : shards.length > 128 ? [20, 3] : shards.length > 32 ? [30, 4] : [40, 5];
  grid.style.setProperty('--cell', `${cell}px`);
  grid.style.setProperty('--gap', `${gap}px`);
  grid.classList.toggle('dense', shards.length > 128);
  while (grid.children.length > shards.length) grid.lastElementChild.remove();
  shards.forEach((shard, at) => {
    let element = grid.children[at];
    if (!element) {
      element = make('button', undefined, 'cell');
      element.type = 'button';
      grid.append(element);
    }
    const key = `${shard.id}-${shard.count}`;
    element.dataset.shard = key;
    element.dataset.state = shard.state;
    element.ariaLabel = `shard ${shard.id} of ${shard.count}, ${shard.state}`;
    element.style.setProperty('--full', part(shard.full));
    if (element.textContent !== String(shard.id)) element.textContent = shard.id;
    element.classList.toggle('chosen', key === chosen);
  });
  drawDetail();
}

function drawDetail() {
  const shard = known.find((it) => `${it.id}-${it.count}` === chosen);
  if (!shard) return;
  const parts = [`shard ${shard.id} of ${shard.count}: ${shard.state}`, `${short(shard.rate)} events/s`,
    `ring ${percent(shard.full)} full`, `${number(shard.lag)} behind`];
  if (shard.latency !== null) parts.push(`heartbeat ${shard.latency} ms`);
  if (shard.unread !== null) parts.push(`not read for ${span(shard.unread)}`);
  if (shard.session !== null) parts.push(`session for ${span(shard.session)}`);
  if (shard.reconnects) parts.push(plural(shard.reconnects, 'reconnect'));
  if (shard.gaps) parts.push(plural(shard.gaps, 'gap'));
  find('#shards .detail').textContent = parts.join(' · ');
}

function drawRings(frame) {
  const row = (kind, name, share, text, trouble) => {
    const element = make('div', undefined, `row ${kind}`);
    const last = make('span', text);
    if (trouble) last.append(' ', make('em', trouble));
    element.append(make('span', name), bar(share), last);
    return element;
  };
  const rings = frame.rings.map((ring) => {
    const element = make('div', undefined, 'ring');
    element.append(row('', ring.name, ring.fullness, `${bytes(ring.bytes)}, ${short(ring.rate)}/s`, ring.alive ? '' : 'nobody writes it'));
    ring.groups.forEach((group) => {
      const age = group.oldest_seconds === null ? '' : `, ${span(group.oldest_seconds)}`;
      const trouble = group.damaged ? 'damaged' : group.evicted ? 'let go' : group.members === 0 ? 'no members' : '';
      const dead = group.dead ? `, ${number(group.dead)} given up` : '';
      const members = group.members ? `, ${plural(group.members, 'member')}` : '';
      const item = row('group', group.name, group.fullness, `${number(group.lag)} behind${age}${members}, ${short(group.rate)}/s${dead}`, trouble);
      Object.assign(item.dataset, { group: group.name, lag: group.lag, members: group.members });
      element.append(item);
    });
    return element;
  });
  frame.unreadable.forEach((name) => rings.push(make('p', `${name} cannot be read`, 'empty')));
  if (!rings.length) rings.push(make('p', 'There is no output ring yet.', 'empty'));
  fill(find('#rings > div'), rings);
}

function drawKinds(frame) {
  const most = frame.kinds.reduce((top, [, rate]) => Math.max(top, rate), 0);
  const items = frame.kinds.map(([kind, rate]) => {
    const item = make('li');
    item.style.setProperty('--full', part(rate / most));
    item.append(make('span', kind), make('b', short(rate)));
    return item;
  });
  fill(find('#kinds ol'), items.length ? items : [make('li', 'Nothing flows.', 'empty')]);
}

// Points as the server keeps them: seconds, received, published, lag in records, lag in seconds.
let history = [];
const POINTS = 300;
function drawSparks() {
  const tell = [null, (v) => `${short(v)}/s`, (v) => `${short(v)}/s`, short, (v) => (v ? span(v) : '0 s')];
  document.querySelectorAll('#sparks figure').forEach((figure) => {
    const series = Number(figure.dataset.series);
    const values = history.map((point) => point[series]);
    const top = Math.max(...values, 1e-9);
    const left = 300 - values.length;
    const points = values.map((value, at) => `${left + at + 1},${(46 - (value / top) * 43).toFixed(1)}`);
    const line = points.length ? `M${points.join('L')}` : '';
    find('.line', figure).setAttribute('d', line);
    find('.area', figure).setAttribute('d', line && `${line}L300,48L${left + 1},48Z`);
    find('b', figure).textContent = values.length ? tell[series](values.at(-1)) : '–';
  });
}

function drawGaps(gaps) {
  const items = gaps.map((gap) => {
    const item = make('li');
    const seqs = gap.from_seq === null ? '' : `from ${number(gap.from_seq)}${gap.to_seq === null ? '' : ` to ${number(gap.to_seq)}`}`;
    const time = gap.at ? new Date(gap.at * 1000).toLocaleTimeString() : '–';
    item.append(make('time', time), make('b', `shard ${gap.shard}`), make('span', gap.reason || 'unknown'), make('span', seqs));
    return item;
  });
  fill(find('#gaps ol'), items.length ? items : [make('li', 'None in what the ring still holds.', 'empty')]);
}

function addUpdate(update) {
  const list = find('#updates ol');
  const item = make('li');
  item.append(make('b', update.kind), make('span', update.guild_id ? `guild ${update.guild_id}` : ''));
  update.changes.forEach((change) => {
    item.append(make('span', change.path), make('del', change.old ?? ''));
    if (change.new !== null) item.append('→', make('ins', change.new));
  });
  list.prepend(item);
  while (list.children.length > 12) list.lastElementChild.remove();
}

let last = 0;
function draw(frame) {
  const shards = frame.shards.map(shardOf);
  document.title = `Mixcord · ${frame.instance}`;
  find('#instance').textContent = frame.instance;
  drawPipeline(frame, shards);
  drawFindings(frame);
  drawShards(shards);
  drawRings(frame);
  drawKinds(frame);
  const out = (frame.rings.find((ring) => ring.name === 'out')?.groups || []).filter((group) => !group.evicted);
  const most = (of) => out.reduce((top, group) => Math.max(top, of(group)), 0);
  const point = [frame.at, frame.received, frame.published, most((g) => g.lag), most((g) => g.oldest_seconds || 0)];
  if (!history.length || Math.floor(history.at(-1)[0]) < Math.floor(frame.at)) history.push(point);
  history = history.slice(-POINTS);
  drawSparks();
  find('#clock').textContent = new Date(frame.at * 1000).toLocaleTimeString();
  last = frame.at;
  document.body.dataset.at = frame.at;
}

document.addEventListener('click', (click) => {
  if (click.target.matches('#findings button')) {
    const button = click.target;
    const text = find('code', button.parentElement).textContent;
    const copied = navigator.clipboard ? navigator.clipboard.writeText(text) : Promise.reject(new Error('no clipboard'));
    copied.then(() => { button.textContent = 'copied'; }, () => { getSelection().selectAllChildren(find('code', button.parentElement)); });
  }
});
const choose = (event) => {
  if (!event.target.matches('.cell')) return;
  chosen = event.target.dataset.shard;
  document.querySelectorAll('.cell.chosen').forEach((cell) => cell.classList.remove('chosen'));
  event.target.classList.add('chosen');
  drawDetail();
};
['click', 'mouseover', 'focusin'].forEach((name) => find('#shards .grid').addEventListener(name, choose));

const stream = new EventSource('api/events');
const on = (name, take) => stream.addEventListener(name, (event) => take(JSON.parse(event.data)));
on('about', (about) => { find('#updates').hidden = !about.show_events; });
on('history', (points) => { history = points; });
on('gaps', drawGaps);
on('frame', draw);
on('update', addUpdate);
stream.addEventListener('error', () => {
  const verdict = find('#verdict');
  verdict.className = 'broken';
  verdict.textContent = last ? 'the monitor is gone: trying again' : 'the monitor does not answer';
});
