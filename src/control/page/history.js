// What the server remembers of the last minutes, and what came since: states as changes, numbers as samples of each second.
//
// Times are the server's own, in milliseconds from a beginning of its choice; "" stands for the server itself.

/** The longest window that can be shown, and something more. */
const KEPT = 660_000;

export class History {
  constructor() {
    this.#forget();
  }

  #forget() {
    /** The time up to which everything is known. */
    this.now = 0;
    this.lanes = new Map();
    this.samples = [];
  }

  /** Takes an answer of `/api/history?after=NOW`. */
  add({ begin, now, changes, samples }) {
    // Its host was started anew: its times are others.
    if (now < this.now) this.#forget();
    // The server was away: nothing is known of the time between.
    if (this.now > 0 && begin > this.now) this.lanes.forEach((lane) => lane.push([this.now, null]));
    for (const [at, server, state] of changes) {
      if (!this.lanes.has(server)) this.lanes.set(server, []);
      this.lanes.get(server).push([at, state]);
    }
    this.samples.push(...samples);
    this.now = now;
    this.#trim(now - KEPT);
  }

  #trim(oldest) {
    this.samples = this.samples.slice(Math.max(0, this.samples.findIndex((sample) => sample.at >= oldest)));
    this.lanes.forEach((lane, server) => {
      // The last change before is the state at the left edge.
      const keep = lane.findLastIndex(([at]) => at < oldest);
      if (keep > 0) lane.splice(0, keep);
      if (lane.length === 1 && lane[0][1] === null && lane[0][0] < oldest) this.lanes.delete(server);
    });
  }

  /** Changes of one server's state: `[time, state or null]`. */
  lane(server) {
    return this.lanes.get(server) ?? [];
  }

  /** The end of a server's lines, so that tables and plots say the same; undefined where there is none. */
  last(server) {
    const from = this.now - 2500;
    return { rate: this.rates(server, from).at(-1)?.[1], load: this.loads(server, from).at(-1)?.[1] };
  }

  /** `[time, queries/s]` since `from`: counted for this server, as told by the others. */
  rates(server, from) {
    const samples = this.#since(from);
    if (server !== "") return samples.flatMap(({ at, peers }) => (server in peers ? [[at, peers[server][1]]] : []));
    return samples.slice(1).flatMap((sample, index) => {
      const before = samples[index];
      const [count, seconds] = [sample.total - before.total, (sample.at - before.at) / 1000];
      return count >= 0 && seconds < 2.5 ? [[sample.at, count / seconds]] : [];
    });
  }

  /** `[time, load]` since `from`. */
  loads(server, from) {
    const samples = this.#since(from);
    if (server === "") return samples.map(({ at, load }) => [at, load]);
    return samples.flatMap(({ at, peers }) => (server in peers ? [[at, peers[server][0]]] : []));
  }

  /** From one sample before `from`, so that a line begins at the edge. */
  #since(from) {
    const first = this.samples.findIndex((sample) => sample.at >= from);
    return first < 0 ? [] : this.samples.slice(Math.max(0, first - 1));
  }
}
