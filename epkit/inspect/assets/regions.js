"use strict";
// A searchable table of regions and the card of one of them. Every text from the data is put on the
// page as a text node; nothing here reads HTML from it, and nothing connects to anywhere.

const data = JSON.parse(document.getElementById("data").textContent);
const K = data.counts.length;
const PAGE = 100;
const byId = (id) => document.getElementById(id);

/** An element with attributes and children; strings become text nodes. */
function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) element.setAttribute(name, value);
  element.append(...children.filter((child) => child !== null).map((c) => (c instanceof Node ? c : String(c))));
  return element;
}

// ---- data ------------------------------------------------------------------------------------

const texts = data.texts;
// A context is [kind, at, distance, tokens, levels]; the first of a region is its exemplar.
const kindOf = (context) => data.kinds[context[0]];
const members = (k) => data.contexts[k].slice(1);
const tokenOf = (context) => texts[context[3][context[1]]];
const shape = (x, digits) => x.toFixed(digits);
const count = (x) => x.toLocaleString("en-US");

/** Distinct tokens of a region's members, the frequent ones first. */
function tokensOf(k) {
  const seen = new Map();
  for (const context of members(k)) {
    const text = tokenOf(context).trim() || "␣";
    seen.set(text, (seen.get(text) || 0) + 1);
  }
  return [...seen].sort((a, b) => b[1] - a[1]).slice(0, 8).map((pair) => pair[0]).join(" ");
}

let said = null; // text of every member's context, laid out at the first search
function saidAround() {
  said ??= data.contexts.map((list) => list.slice(1).map((c) => c[3].map((t) => texts[t]).join("")));
  return said;
}

// ---- search and order ------------------------------------------------------------------------

const state = { rows: [], page: 0, sort: "members", descending: true, region: null };

const COLUMNS = [
  { name: "region", value: (k) => k, text: (k) => make("a", { href: `#region-${k}` }, k) },
  { name: "exemplar", value: null, text: (k) => data.labels[k] },
  { name: "members", value: (k) => data.counts[k], text: (k) => count(data.counts[k]) },
  { name: "coherence", value: (k) => data.coherence[k], text: (k) => shape(data.coherence[k], 2) },
  { name: "distance", value: (k) => data.mean[k], text: (k) => shape(data.mean[k], 2) },
  { name: "tokens of members", value: null, text: tokensOf },
];

/** A predicate over regions for what is typed; throws a sentence for what cannot be answered. */
function predicate(field, query) {
  if (field === "context") {
    let pattern;
    try {
      pattern = new RegExp(query, "iu");
    } catch (error) {
      throw new Error(`“${query}” is not a regular expression: ${error.message}`);
    }
    const around = saidAround();
    const end = performance.now() + 2000;
    return (k) => {
      if (performance.now() > end) throw new Error("the expression takes longer than 2 s; make it simpler");
      return around[k].some((text) => pattern.test(text));
    };
  }
  const wanted = (query.trim() || query).toLowerCase();
  if (field === "lens") {
    if (!data.promoted) throw new Error("this page was written without a logit lens");
    return (k) => data.promoted[k][0].some((text) => text.toLowerCase().includes(wanted));
  }
  const holds = texts.map((text) => text.toLowerCase().includes(wanted));
  return (k) => members(k).some((context) => holds[context[3][context[1]]]);
}

function search() {
  const query = byId("query").value;
  const all = Array.from({ length: K }, (_, k) => k);
  try {
    state.rows = query ? all.filter(predicate(byId("field").value, query)) : all;
    byId("status").textContent = `${count(state.rows.length)} of ${count(K)} regions`;
  } catch (error) {
    byId("status").textContent = error.message;
    return;
  }
  order();
}

function order() {
  const { value } = COLUMNS.find((column) => column.name === state.sort);
  const sign = state.descending ? -1 : 1;
  state.rows.sort((a, b) => sign * (value(a) - value(b)) || a - b);
  state.page = 0;
  drawTable();
}

// ---- table -----------------------------------------------------------------------------------

function drawHead() {
  const cells = COLUMNS.map(({ name, value }) => {
    if (!value) return make("th", { scope: "col" }, name);
    const button = make("button", { type: "button" }, name);
    button.addEventListener("click", () => {
      state.descending = state.sort === name ? !state.descending : name !== "region";
      state.sort = name;
      order();
    });
    return make("th", { scope: "col", "data-name": name }, button);
  });
  document.querySelector("thead tr").replaceChildren(...cells);
}

function drawTable() {
  const pages = Math.max(1, Math.ceil(state.rows.length / PAGE));
  state.page = Math.min(Math.max(state.page, 0), pages - 1);
  const first = state.page * PAGE;
  const shown = state.rows.slice(first, first + PAGE);
  const rows = shown.map((k) => {
    const row = make("tr", { "data-region": k }, ...COLUMNS.map((c) => make("td", {}, c.text(k))));
    if (k === state.region) row.setAttribute("aria-current", "true");
    return row;
  });
  document.querySelector("tbody").replaceChildren(...rows);
  for (const th of document.querySelectorAll("th[data-name]")) {
    if (th.dataset.name !== state.sort) th.removeAttribute("aria-sort");
    else th.setAttribute("aria-sort", state.descending ? "descending" : "ascending");
  }
  byId("previous").disabled = state.page === 0;
  byId("next").disabled = state.page === pages - 1;
  const span = `${count(Math.min(first + 1, state.rows.length))}–${count(first + shown.length)}`;
  byId("page").textContent = `${span} of ${count(state.rows.length)}`;
}

// ---- card ------------------------------------------------------------------------------------

function tokens([, at, , ids, levels], from, to) {
  return ids.slice(from, to).map((id, i) => {
    const place = from + i;
    const level = levels ? data.levels.indexOf(levels[place]) : -1;
    const element = make(place === at ? "mark" : "span", place === at ? { class: "ep-member" } : {}, texts[id]);
    if (level >= 0) {
      const cosine = level / (data.levels.length - 1);
      element.setAttribute("style", "");
      element.style.setProperty("--c", cosine.toFixed(2));
      element.title = level ? `u·e ≈ ${cosine.toFixed(2)}` : "u·e ≈ 0 or less";
    }
    return element;
  });
}

function line(context) {
  const [, at, distance, ids] = context;
  const part = (name, from, to) =>
    make("span", { class: `ep-${name}` }, make("span", {}, ...tokens(context, from, to)));
  return make("div", { class: "ep-line" }, make("span", { class: "ep-gap" }, shape(distance, 3)),
    part("before", 0, at), part("own", at, at + 1), part("after", at + 1, ids.length));
}

const section = (title, ...content) => make("section", {}, make("h4", {}, title), ...content);
const note = (text) => make("p", { class: "ep-note" }, text);
const token = (text) => make("code", { class: "ep-token" }, text);

function lens(title, rows, k) {
  if (!rows) return section(title, note("not known without the model"));
  const [names, logits] = rows[k];
  const items = names.map((name, i) =>
    make("li", {}, token(name), " ", make("span", {}, (logits[i] < 0 ? "" : "+") + shape(logits[i], 1))));
  return section(title, make("ol", { class: "ep-lens" }, ...items));
}

function links(title, pairs, what) {
  const items = pairs.map(([k, value]) =>
    make("li", {}, make("a", { href: `#region-${k}` }, k), " ", token(data.labels[k]), make("span", {}, value)));
  return section(title, note(what), make("ol", { class: "ep-links" }, ...items));
}

function histogram(k) {
  const [width, height] = [240, 56];
  const floor = height - 12;
  const x = (value) => Math.min(value / Math.max(data.threshold, 1e-9), 1) * width;
  const draw = (tag, attributes) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  };
  const bars = data.bars ? data.bars[k] : [];
  const high = Math.max(1, ...bars);
  const total = bars.reduce((a, b) => a + b, 0);
  const marks = bars.map((n, i) => {
    const tall = ((floor - 4) * n) / high;
    return draw("rect", { class: "ep-bar", x: (i * width) / bars.length + 0.5, y: floor - tall,
      width: width / bars.length - 1, height: tall });
  });
  if (!data.bars) {
    for (const value of data.sample[k]) {
      marks.push(draw("rect", { class: "ep-bar", x: x(value) - 1, y: 12, width: 2, height: floor - 12 }));
    }
  }
  const [low, mid, end] = [-1, 0, 1].map((s) => x(Math.max(data.mean[k] + s * data.std[k], 0)));
  marks.push(draw("path", { class: "ep-axis", d: `M0 ${floor}H${width}` }),
    draw("path", { class: "ep-spread", d: `M${low} ${floor + 6}H${end}` }),
    draw("circle", { class: "ep-mean", cx: mid, cy: floor + 6, r: 3 }));
  const drawn = data.sample[k].length;
  const of = data.bars ? `${count(total)} activations nearest to this exemplar`
    : drawn === data.counts[k] ? `all ${drawn} members`
    : `${drawn} members drawn at random of ${count(data.counts[k])}`;
  const svg = draw("svg", { class: "ep-histogram", viewBox: `0 0 ${width} ${height}`, role: "img",
    "aria-label": `Distances of ${of}, from 0 to ${shape(data.threshold, 3)}` });
  svg.append(...marks);
  return section("Distances to the exemplar", svg, note(`${of}; line: mean ± sd; axis: 0 to θ`));
}

function card(k) {
  const measures = [
    ["members", `${count(data.counts[k])} (${shape((100 * data.counts[k]) / data.n, 2)}%)`],
    ["coherence", shape(data.coherence[k], 3)],
    ["distance", `${shape(data.mean[k], 3)} ± ${shape(data.std[k], 3)}`],
    ["threshold θ", shape(data.threshold, 3)],
    ["founded at", count(data.position[k])],
  ].map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value)));
  const exemplar = data.contexts[k][0];
  const kinds = Object.entries(data.titles).map(([kind, title]) => {
    const own = members(k).filter((context) => kindOf(context) === kind);
    return own.length ? section(title, ...own.map(line)) : null;
  });
  const near = data.nearest[k].map((other, i) => [other, shape(data.gaps[k][i], 3)]);
  const second = (data.competitors ? data.competitors[k] : []).map(([other, n]) => [other, `${n}×`]);
  const total = data.bars ? count(data.bars[k].reduce((a, b) => a + b, 0)) : "";
  const of = data.competitors ? `second for ${total} activations` : "not known: the page was written without activations";
  return make("article", { class: "epkit-card", "data-region": k },
    make("header", {}, make("h3", {}, make("span", { class: "ep-number" }, `Region ${count(k)}`), " ",
      token(data.labels[k])), make("dl", {}, ...measures)),
    make("div", { class: "ep-columns" },
      make("div", { class: "ep-main" },
        section("Exemplar", make("p", { class: "ep-exemplar" }, ...tokens(exemplar, 0, exemplar[3].length))),
        ...kinds, note(data.note)),
      make("div", { class: "ep-side" },
        lens("Promoted next tokens", data.promoted, k), lens("Suppressed next tokens", data.suppressed, k),
        histogram(k), links("Nearest regions", near, "cosine distance of exemplars"),
        links("Competitors", second, of))));
}

/** Show the region named in the address, the largest where none is. */
function show() {
  const named = /^#region-(\d+)$/.exec(location.hash);
  const k = named && Number(named[1]) < K ? Number(named[1]) : data.counts.indexOf(Math.max(...data.counts));
  state.region = k;
  byId("card").replaceChildren(card(k));
  byId("card").scrollTop = 0;
  for (const row of document.querySelectorAll("tbody tr")) {
    if (Number(row.dataset.region) === k) row.setAttribute("aria-current", "true");
    else row.removeAttribute("aria-current");
  }
}

// ---- start -----------------------------------------------------------------------------------

byId("about").textContent =
  `${count(K)} regions of ${count(data.n)} activations, θ = ${shape(data.threshold, 3)}`;
byId("controls").addEventListener("submit", (event) => event.preventDefault());
byId("query").addEventListener("input", search);
byId("field").addEventListener("change", search);
for (const [id, step] of [["previous", -1], ["next", 1]]) {
  byId(id).addEventListener("click", () => {
    state.page += step;
    drawTable();
  });
}
document.querySelector("tbody").addEventListener("click", (event) => {
  const row = event.target.closest("tr");
  if (row && !event.target.closest("a")) location.hash = `#region-${row.dataset.region}`;
});
addEventListener("hashchange", show);
drawHead();
show();
search();
