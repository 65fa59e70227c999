// ---- list ------------------------------------------------------------------------------------

/** One tab stop for a group of buttons or options; arrow keys move within it. */
function roving(group, selector, forward, backward) {
  group.addEventListener("keydown", (event) => {
    const all = [...group.querySelectorAll(selector)];
    const at = all.indexOf(document.activeElement);
    const to = { [forward]: at + 1, [backward]: at - 1, Home: 0, End: all.length - 1 }[event.key];
    if (at < 0 || to === undefined || !all[to]) return;
    all.forEach((element, i) => element.setAttribute("tabindex", i === to ? "0" : "-1"));
    all[to].focus();
    event.preventDefault();
  });
}

/** Buttons of which one is pressed, one tab stop. */
function choices(place, options, chosen, act) {
  const made = Object.entries(options).map(([value, name]) =>
    button(name, () => act(value), { "aria-pressed": value === chosen, tabindex: value === chosen ? 0 : -1 }));
  place.replaceChildren(...made);
}

function drawSorts() {
  const names = Object.fromEntries(Object.entries(SORTS).map(([key, { name }]) => [key, name]));
  choices(byId("sorts"), names, state.sort, (value) => {
    state.sort = value;
    order();
    byId("sorts").querySelector("[aria-pressed=true]").focus();
  });
}

function drawList() {
  drawSorts();
  const pages = Math.max(1, Math.ceil(state.rows.length / PAGE));
  state.page = Math.min(Math.max(state.page, 0), pages - 1);
  const first = state.page * PAGE;
  const shown = state.rows.slice(first, first + PAGE);
  const current = shown.includes(state.region) ? state.region : shown[0];
  const rows = shown.map((k) =>
    make("div", { role: "option", "data-region": k, "aria-selected": k === state.region, tabindex: k === current ? 0 : -1 },
      make("span", {}, k), make("span", {}, count(data.counts[k])),
      make("span", {}, shape(data.interest[k], 2)), make("span", {}, data.names[k]), make("span", {}, tokensOf(k))));
  byId("list").replaceChildren(...rows);
  byId("previous").disabled = state.page === 0;
  byId("next").disabled = state.page === pages - 1;
  const span = `${count(Math.min(first + 1, state.rows.length))}–${count(first + shown.length)}`;
  byId("page").textContent = `${span} of ${count(state.rows.length)}`;
}

function markList() {
  const all = [...byId("list").children];
  const own = all.find((row) => Number(row.dataset.region) === state.region);
  for (const row of all) {
    row.setAttribute("aria-selected", row === own);
    if (own) row.setAttribute("tabindex", row === own ? "0" : "-1");
  }
  own?.scrollIntoView({ block: "nearest" });
}

/** Show the region that stands next in the list. */
function step(by) {
  if (!state.rows.length) return;
  const at = state.rows.indexOf(state.region);
  const place = at < 0 ? 0 : Math.min(Math.max(at + by, 0), state.rows.length - 1);
  const page = Math.floor(place / PAGE);
  if (page !== state.page) {
    state.page = page;
    drawList();
  }
  choose(state.rows[place], false);
}
