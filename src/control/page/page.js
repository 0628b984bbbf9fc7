// The status page: asks its server each second what it says of itself, and shows it. It keeps what it draws, no more.
//
// Identities, reasons and zone names come from outside: every value goes into the page as text, never as markup.

import { Plot, ago, drawLane } from "./draw.js";
import { History } from "./history.js";

const INTERVAL = 1000;
const PATIENCE = 3000;
/** Decisions and zones change seldom: they are asked for so often, and soon after the status says that something is new. */
const SELDOM = 10_000;
const SOON = 2000;
const COLOURS = 6;

const get = (id) => document.getElementById(id);
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const rate = (value) => (value < 10 ? tenths : whole).format(value);
const percent = (share) => `${(share * 100).toFixed(share < 0.0995 && share > 0 ? 1 : 0)} %`;

const history = new History();
const plots = {
  rate: new Plot(get("rate"), { name: "Queries per second", format: rate, least: 10 }),
  load: new Plot(get("load"), { name: "Load", format: percent, least: 0.2, limit: 0.85 }),
};

/** What was last shown, and what is asked for next. */
let shown = null;
let seldom = { asked: 0, of: "" };
/** When the state last changed, a few times. */
let changes = [];
let timer = null;
let failures = 0;
let lastAnswer = null;
/** The server's clock minus this one's, in milliseconds. */
let skew = 0;

async function fetchJson(path) {
  const response = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
  if (!response.ok) throw new Error(await response.text());
  skew = Date.parse(response.headers.get("date")) - Date.now() || 0;
  return response.json();
}

async function turn() {
  clearTimeout(timer);
  try {
    const [status, news] = await Promise.all([fetchJson("/api/status"), fetchJson(`/api/history?after=${history.now}`)]);
    history.add(news);
    shown = status;
    failures = 0;
    lastAnswer = Date.now();
    showStatus(status);
  } catch (error) {
    failures += 1;
    console.debug("no answer:", error.message);
  }
  showGone();
  if (shown) showTimes(shown);
  if (failures === 0) await askSeldom(shown);
  timer = document.hidden ? null : setTimeout(turn, INTERVAL);
}

/** What changes seldom. If it does not come the rest is shown all the same, and it is asked for again. */
async function askSeldom(status) {
  const of = JSON.stringify([status.state, status.class, status.zones, status.pids.main]);
  if (Date.now() - seldom.asked < (of === seldom.of ? SELDOM : SOON)) return;
  seldom = { of, asked: Date.now() };
  try {
    showDecisions(await fetchJson("/api/decisions"));
    showZones(await fetchJson("/api/zones"));
  } catch (error) {
    console.debug("not told:", error.message);
  }
}

// --- small helpers of the document

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function element(name, className, text) {
  const node = document.createElement(name);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

/** Makes the children of `parent` those of `items`; those that stay keep their place, their focus and whether they are open. */
function sync(parent, items, keyOf, create, update) {
  const old = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  items.forEach((item, index) => {
    const key = String(keyOf(item));
    const child = old.get(key) ?? create(item);
    old.delete(key);
    child.dataset.key = key;
    if (parent.children[index] !== child) parent.insertBefore(child, parent.children[index] ?? null);
    update?.(child, item);
  });
  old.forEach((child) => child.remove());
}

function duration(milliseconds) {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  const units = [["d", 86_400], ["h", 3600], ["min", 60], ["s", 1]];
  const first = units.findIndex(([, size]) => seconds >= size);
  if (first < 0) return "0 s";
  const parts = units.slice(first, first + 2).map(([name, size], index) => {
    return [Math.floor((index === 0 ? seconds : seconds % units[first][1]) / size), name];
  });
  return parts.filter(([count], index) => index === 0 || count > 0).map((part) => part.join(" ")).join(" ");
}

const pad = (number) => String(number).padStart(2, "0");

function clock(time) {
  const date = new Date(time);
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map(pad).join(":");
}

/** With the day unless it is today. */
function moment(time) {
  const date = new Date(time);
  const isToday = date.toDateString() === new Date().toDateString();
  return isToday ? clock(time) : `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())} ${clock(time)}`;
}

// --- the state

function showStatus(status) {
  document.title = `${status.identity} ${status.state} · heraldns`;
  setText(get("version"), status.version);
  setText(get("identity"), status.identity);
  if (get("state-name").textContent !== status.state) announce();
  setText(get("state-name"), status.state);
  get("state").dataset.state = status.state;
  setText(get("reason"), status.reason);
  const problems = get("problems");
  problems.hidden = status.problems.length === 0;
  sync(problems, status.problems, (problem) => problem, (problem) => element("li", "", problem));
  showFigures(status);
  showServers(status);
  showAdvertisers(status);
  const { guardian, main } = status.pids;
  setText(get("process"), `main process ${main}, ${guardian === null ? "no guardian" : `guardian ${guardian}`}`);
}

/** A screen reader is told of each change, but not of turns of a few seconds. */
function announce() {
  changes = [...changes.filter((time) => Date.now() - time < 60_000), Date.now()];
  get("live").setAttribute("aria-live", changes.length > 6 ? "off" : "polite");
}

function showFigures(status) {
  const { queries, zones } = status;
  setText(get("figure-rate"), rate(history.last("").rate ?? queries.per_second));
  setText(get("figure-total"), `${whole.format(queries.total)} since the start`);
  setText(get("figure-load"), percent(history.last("").load ?? status.load));
  setText(get("figure-capacity"), status.capacity > 0 ? `of ${whole.format(status.capacity)} queries/s` : "capacity not known yet");
  setText(get("figure-class"), status.class || "–");
  setText(get("figure-class-reason"), status.class_reason);
  setText(get("figure-zones"), whole.format(zones.loaded));
  setText(get("figure-failed"), zones.failed > 0 ? `${whole.format(zones.failed)} failed` : "");
  setText(get("figure-records"), `${whole.format(zones.records)} records`);
  const services = get("services");
  if (status.services.length === 0) {
    setText(services, "None: without a [service] nothing is advertised.");
    return;
  }
  const list = services.querySelector("ul") ?? element("ul");
  if (!list.isConnected) services.replaceChildren(list);
  const words = ({ advertised, holder }) => {
    if (advertised) return holder ? "advertised, routers send here" : "advertised";
    return holder ? "not advertised, routers send here" : "not advertised";
  };
  sync(list, status.services, (service) => service.address, (service) => {
    const row = element("li");
    row.append(element("span", "mono", service.address), " ", element("span", "quiet"));
    return row;
  }, (row, service) => setText(row.lastChild, words(service)));
}

/** What changes with every second, whether the server answers or not. */
function showTimes(status) {
  const since = Date.parse(status.since);
  setText(get("since"), `for ${duration(Date.now() + skew - since)}, since ${moment(since)}`);
  showTimelines();
}

function showGone() {
  const gone = failures >= 2;
  document.documentElement.classList.toggle("old", gone && shown !== null);
  get("gone").hidden = !gone;
  if (!gone) return;
  document.title = `no answer · ${shown ? `${shown.identity} · ` : ""}heraldns`;
  const since = lastAnswer ? `since ${clock(lastAnswer)}: what is shown below is as old as that` : "yet";
  setText(get("gone"), `No answer from this server ${since}. It is asked again each second.`);
}

// --- servers

/** This server first, then the others by name. The keys are those of the history. Where several are active nobody is the holder. */
function servers(status) {
  const self = {
    key: "", identity: status.identity, address: "this server", state: status.state, load: status.load, class: status.class,
    rate: status.queries.per_second, holder: status.services.some((service) => service.holder), heard: null,
  };
  const peers = status.peers.map((peer) => ({
    key: `${peer.identity} ${peer.address}`, identity: peer.identity, address: peer.address,
    state: peer.dead && peer.state !== "gone" ? "dead" : peer.state,
    load: peer.load, class: peer.class, rate: peer.per_second, holder: peer.holder, heard: peer.last_heard_ms,
  }));
  peers.sort((a, b) => (a.key < b.key ? -1 : 1));
  const all = [self, ...peers];
  const sole = all.filter((server) => server.state === "active").length < 2;
  return all.map((server, index) => {
    const last = history.last(server.key);
    const style = index < COLOURS ? `server-${index}` : "server-other";
    return { ...server, holder: server.holder && sole, rate: last.rate ?? server.rate, load: last.load ?? server.load, style };
  });
}

function showServers(status) {
  sync(get("servers").tBodies[0], servers(status), (server) => server.key, serverRow, updateServerRow);
  const alone = get("alone");
  alone.hidden = status.peers.length > 0;
  setText(alone, status.peer_messages ? "No other server is heard." : "This server does not listen to others: it has no [service], or [peers] is off.");
  document.querySelectorAll(".with-peers").forEach((node) => { node.hidden = status.peers.length === 0; });
}

function cell(className, ...content) {
  const node = element("td", className);
  node.setAttribute("role", "cell");
  node.append(...content);
  return node;
}

function serverRow(server) {
  const row = element("tr");
  row.setAttribute("role", "row");
  const lane = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  lane.setAttribute("class", "lane");
  lane.setAttribute("role", "img");
  const name = element("b", "", server.identity);
  const [rates, loads] = [cell("number rate"), cell("number load")];
  loads.dataset.unit = "load";
  rates.dataset.unit = "q/s";
  row.append(
    cell("name", element("i", "swatch"), name, element("span", "mono", server.address)),
    cell("status", element("span", "state"), element("span", "holder")),
    cell("timeline", lane), loads, cell("class"), rates, cell("number heard"),
  );
  return row;
}

function updateServerRow(row, server) {
  const find = (selector) => row.querySelector(selector);
  find(".swatch").className = `swatch ${server.style}`;
  row.dataset.state = server.state;
  setText(find(".state"), server.state === "dead" ? "not heard" : server.state);
  setText(find(".holder"), server.holder && server.state !== "dead" ? "holder" : "");
  setText(find(".load"), percent(server.load));
  setText(find(".class"), server.class || "–");
  setText(find(".rate"), rate(server.rate));
  setText(find(".heard"), server.heard === null ? "" : `${tenths.format(server.heard / 1000)} s ago`);
}

function showTimelines() {
  const seconds = Number(document.querySelector("#window input:checked").value);
  const end = history.now;
  const begin = end - seconds * 1000;
  const at = (time) => clock((lastAnswer ?? Date.now()) + skew - (end - time));
  const all = servers(shown);
  setText(document.querySelector("#servers .from"), ago(end - begin));
  setText(document.querySelector("#servers .half"), ago((end - begin) / 2));
  const rows = [...get("servers").tBodies[0].rows];
  all.forEach((server) => {
    const lane = rows.find((row) => row.dataset.key === server.key)?.querySelector(".lane");
    if (lane) drawLane(lane, history.lane(server.key), begin, end, describe(server, begin, end, at));
  });
  const line = (points) => (server) => ({ name: server.identity, style: server.style, own: server.key === "", points: points(server.key, begin) });
  const ownLast = [...all].reverse();
  plots.rate.show(ownLast.map(line((key, from) => history.rates(key, from))).reverse(), begin, end, at);
  plots.load.show(ownLast.map(line((key, from) => history.loads(key, from))).reverse(), begin, end, at);
}

/** The timeline in words: the last changes within the window. */
function describe(server, begin, end, at) {
  const changes = history.lane(server.key).filter(([time]) => time > begin).slice(-5);
  const words = changes.map(([time, state]) => `${state ?? "unknown"} at ${at(time)}`);
  return `${server.identity}, ${ago(end - begin)} to now: ${words.length === 0 ? `${server.state}, no change` : words.join(", ")}`;
}

// --- advertisers, decisions, zones

function causes(counts) {
  const told = Object.entries(counts).filter(([, count]) => count > 0).map(([cause, count]) => `${cause} ${whole.format(count)}`);
  return told.join(", ");
}

function showAdvertisers(status) {
  get("advertisers-section").hidden = status.advertisers.length === 0;
  sync(get("advertisers"), status.advertisers.map((advertiser, index) => ({ ...advertiser, index })), (advertiser) => advertiser.index, () => {
    const row = element("li");
    row.append(element("b"), " ", element("span", "state"), " ", element("span"), element("p", "quiet"));
    return row;
  }, (row, advertiser) => {
    row.dataset.state = advertiser.state;
    const [name, state, detail, numbers] = row.children;
    setText(name, advertiser.protocol);
    setText(state, advertiser.state);
    setText(detail, advertiser.detail);
    const dropped = causes(advertiser.dropped);
    setText(numbers, [
      ...(advertiser.cost === null ? [] : [`cost ${whole.format(advertiser.cost)}`]),
      `${whole.format(advertiser.sent)} sent`, `${whole.format(advertiser.errors)} not sent`, dropped ? `dropped: ${dropped}` : "none dropped",
    ].join(" · "));
  });
  const messages = status.peer_messages;
  const dropped = messages && causes(messages.dropped);
  setText(get("peer-messages"), messages ? [
    `Peer messages: ${whole.format(messages.sent)} sent`, `${whole.format(messages.errors)} not sent`,
    `${whole.format(messages.received)} received`, dropped ? `dropped: ${dropped}` : "none dropped",
  ].join(" · ") : "");
}

function showDecisions(decisions) {
  get("no-decisions").hidden = decisions.length > 0;
  sync(get("decisions"), [...decisions].reverse(), (decision) => `${decision.id} ${decision.at}`, (decision) => {
    const row = element("li");
    const details = row.appendChild(element("details"));
    const summary = details.appendChild(element("summary"));
    const steps = decision.from === decision.to && decision.class_from !== decision.class_to
      ? [`cost ${decision.class_from}`, decision.class_to] : [decision.from, decision.to];
    const time = element("time", "quiet", moment(Date.parse(decision.at)));
    time.dateTime = decision.at;
    summary.append(time, element("span", "change", steps.join(" → ")), element("span", "number quiet", `#${decision.id}`), element("span", "why", decision.reason));
    const seen = details.appendChild(element("dl", "seen"));
    for (const [what, value] of Object.entries(decision.seen)) seen.append(element("dt", "", what), element("dd", "", value));
    return row;
  });
}

function showZones({ zones, more }) {
  sync(get("zones").tBodies[0], zones, (zone) => zone.name, () => {
    const row = element("tr");
    row.setAttribute("role", "row");
    const serial = cell("number");
    const records = cell("number");
    serial.dataset.unit = "serial";
    records.dataset.unit = "records";
    const name = cell("name", element("b"), element("span", "file mono"), element("span", "error"));
    row.append(name, cell("", element("span", "state")), serial, records);
    return row;
  }, (row, zone) => {
    const [name, state, serial, records] = row.cells;
    row.dataset.state = zone.state;
    const texts = [zone.name, zone.file, zone.error ?? ""];
    texts.forEach((text, index) => setText(name.children[index], text));
    setText(state.firstChild, zone.state);
    setText(serial, zone.serial === null ? "–" : String(zone.serial));
    setText(records, whole.format(zone.records));
  });
  get("more-zones").hidden = more === 0;
  setText(get("more-zones"), `and ${whole.format(more)} more: heraldns zones`);
}

get("window").addEventListener("change", () => { if (shown) showTimelines(); });
document.addEventListener("visibilitychange", () => { if (!document.hidden) turn(); });
turn();
