// Drawing: timelines and plots as SVG. Knows times and numbers, nothing of servers. Colours are the style sheet's.

const SVG = "http://www.w3.org/2000/svg";
/** Milliseconds without a sample after which a line is broken. */
const GAP = 2500;
const HEIGHT = 176;
const MARGIN = { left: 44, right: 8, top: 8, bottom: 20 };

function shape(name, attributes, text) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

/** How high a state stands in its lane of 24, so that it is told apart without its colour. */
const HEIGHTS = { active: 20, idle: 20, draining: 12, stopping: 12 };

/**
 * Draws one server's timeline. `changes` are `[time, state]` in order, a state of null is unknown; `label` is for who does not see it.
 */
export function drawLane(svg, changes, begin, end, label) {
  svg.setAttribute("viewBox", "0 0 1000 24");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-label", label);
  const place = (time) => ((time - begin) / (end - begin)) * 1000;
  const parts = [shape("rect", { class: "ground", x: 0, y: 2, width: 1000, height: 20 })];
  changes.forEach(([at, state], index) => {
    const until = index + 1 < changes.length ? changes[index + 1][0] : end;
    if (state === null || until <= begin) return;
    const x = place(Math.max(at, begin));
    const height = HEIGHTS[state] ?? 4;
    const rect = { "data-state": state, x: x.toFixed(2), width: Math.max(place(until) - x, 0.5).toFixed(2), y: 12 - height / 2, height };
    parts.push(shape("rect", rect));
  });
  svg.replaceChildren(...parts);
}

/** A number above `most` that divides well: 1, 2 or 5 times a power of ten. */
function ceiling(most) {
  const power = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 5, 10].map((step) => step * power).find((candidate) => candidate >= most * 0.999);
}

/** A plot in `figure`: lines over the last minutes, and a cursor that the pointer or the arrow keys move. */
export class Plot {
  /** `format` writes a value; `least` is the lowest top of the scale; `limit` a value to mark with a dashed line. */
  constructor(figure, { name, format, least, limit }) {
    Object.assign(this, { name, format, least, limit, cursor: null });
    this.caption = figure.appendChild(document.createElement("figcaption"));
    this.svg = figure.appendChild(shape("svg", { class: "plot", role: "img", tabindex: "0" }));
    this.svg.addEventListener("pointermove", (event) => this.#point(event.offsetX));
    this.svg.addEventListener("pointerleave", () => this.#point(null));
    this.svg.addEventListener("blur", () => this.#point(null));
    this.svg.addEventListener("keydown", (event) => this.#press(event));
    new ResizeObserver(() => this.#draw()).observe(this.svg);
  }

  /** `lines`: `{ name, style, own, points: [[time, value]] }`; times run from `begin` to `end`, `clock` writes one. */
  show(lines, begin, end, clock) {
    Object.assign(this, { lines, begin, end, clock });
    this.#draw();
  }

  #point(x) {
    this.cursor = x;
    this.#draw();
  }

  #press(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.key === "Escape") this.#point(null);
    if (step === undefined) return;
    event.preventDefault();
    const right = this.svg.clientWidth - MARGIN.right;
    const pixels = (right - MARGIN.left) / 60;
    this.#point(Math.min(right, Math.max(MARGIN.left, (this.cursor ?? right) + step * pixels)));
  }

  #draw() {
    const width = this.svg.clientWidth;
    if (!this.lines || width < 2 * MARGIN.left) return;
    const { begin, end } = this;
    const most = Math.max(...this.lines.flatMap((line) => line.points.map((point) => point[1])), 0);
    const top = ceiling(Math.max(most, this.least));
    const across = width - MARGIN.left - MARGIN.right;
    const down = HEIGHT - MARGIN.top - MARGIN.bottom;
    const x = (time) => MARGIN.left + (Math.max(time - begin, 0) / (end - begin)) * across;
    const y = (value) => MARGIN.top + (1 - value / top) * down;
    const parts = [...this.#grid(width, top, y), ...this.#times(x, end - begin)];
    for (const line of this.lines) parts.push(...curves(line, x, y));
    const at = this.cursor === null ? null : begin + ((this.cursor - MARGIN.left) / across) * (end - begin);
    if (at !== null && at >= begin && at <= end) {
      parts.push(shape("line", { class: "cursor", x1: x(at), x2: x(at), y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom }));
    }
    this.svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    this.svg.replaceChildren(...parts);
    this.#tell(at);
  }

  #grid(width, top, y) {
    const parts = [0, 0.5, 1].flatMap((share) => {
      const line = { class: "grid", x1: MARGIN.left, x2: width - MARGIN.right, y1: y(share * top), y2: y(share * top) };
      const text = { x: MARGIN.left - 6, y: y(share * top) + 4, "text-anchor": "end" };
      return [shape("line", line), shape("text", text, this.format(share * top))];
    });
    if (this.limit && this.limit <= top) {
      parts.push(shape("line", { class: "limit", x1: MARGIN.left, x2: width - MARGIN.right, y1: y(this.limit), y2: y(this.limit) }));
    }
    return parts;
  }

  #times(x, span) {
    const texts = [[1, ago(span), "start"], [0.5, ago(span / 2), "middle"], [0, "now", "end"]];
    return texts.map(([share, text, anchor]) => {
      return shape("text", { x: x(this.end - share * span), y: HEIGHT - 4, "text-anchor": anchor }, text);
    });
  }

  /** The values at a time, or the last ones: beside the names of the lines, and for who does not see them. */
  #tell(at) {
    const told = this.lines.map((line) => {
      const value = valueAt(line.points, at ?? this.end);
      return { ...line, text: value === null ? "–" : this.format(value) };
    });
    const spans = told.map((line) => {
      const span = document.createElement("span");
      const swatch = span.appendChild(document.createElement("i"));
      swatch.className = `swatch ${line.style}`;
      span.append(`${line.name} `);
      span.appendChild(document.createElement("b")).textContent = line.text;
      return span;
    });
    if (at !== null && at >= this.begin && at <= this.end) {
      const time = document.createElement("span");
      time.textContent = `at ${this.clock(at)}`;
      spans.push(time);
    }
    this.caption.replaceChildren(...spans);
    const summary = told.map((line) => `${line.name} ${line.text}`).join(", ");
    this.svg.setAttribute("aria-label", `${this.name}, ${ago(this.end - this.begin)} to now: ${summary}. Arrow keys read earlier values.`);
  }
}

/** `-3 min`, `-90 s`. */
export function ago(span) {
  const seconds = Math.round(span / 1000);
  return seconds % 60 === 0 ? `−${seconds / 60} min` : `−${seconds} s`;
}

/** The last value before `at`, unless a gap lies between. */
function valueAt(points, at) {
  const before = points.findLast((point) => point[0] <= at);
  return before && at - before[0] <= GAP ? before[1] : null;
}

/** The line's path, and for the own server the area below it; both are broken where samples are missing. */
function curves({ points, style, own }, x, y) {
  const runs = [];
  points.forEach((point, index) => {
    if (index === 0 || point[0] - points[index - 1][0] > GAP) runs.push([]);
    runs.at(-1).push(`${x(point[0]).toFixed(1)} ${y(point[1]).toFixed(1)}`);
  });
  const line = runs.map((run) => `M${run.join("L")}`).join("");
  const parts = [shape("path", { class: `line ${style}${own ? " own" : ""}`, d: line })];
  if (own) {
    const foot = y(0).toFixed(1);
    const ends = (run) => [run[0].split(" ")[0], run.at(-1).split(" ")[0]];
    const area = runs.map((run) => `M${run.join("L")}L${ends(run)[1]} ${foot}L${ends(run)[0]} ${foot}Z`).join("");
    parts.unshift(shape("path", { class: `area ${style}`, d: area }));
  }
  return parts;
}
