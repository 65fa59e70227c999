// ---- choosing, keys, start -------------------------------------------------------------------

const narrow = matchMedia("(max-width: 999px)");

/** Show a region's card, and on narrow screens nothing but it; `focus` goes to the card. */
function choose(k, focus = narrow.matches) {
  if (k !== state.region) state.history.push(state.region);
  state.region = k;
  showCard();
  document.body.dataset.view = "card";
  if (narrow.matches) scrollTo(0, 0);
  if (focus) byId("card").querySelector("h3").focus({ preventScroll: true });
}

function showList() {
  document.body.dataset.view = "list";
  byId("list").querySelector("[tabindex='0']")?.focus();
}

function showCard() {
  const shown = state.beside === null ? [state.region] : [state.region, state.beside];
  byId("card").replaceChildren(...shown.map(card));
  byId("card").classList.toggle("pair", shown.length > 1);
  byId("card").scrollTop = 0;
  byId("beside").setAttribute("aria-pressed", state.beside !== null);
  byId("beside").textContent = state.beside === null ? "hold beside" : `let ${state.beside} go`;
  const kept = state.kept.includes(state.region);
  byId("keep").setAttribute("aria-pressed", kept);
  byId("keep").textContent = kept ? "★ bookmarked" : "☆ bookmark";
  byId("bands").setAttribute("aria-pressed", state.bands);
  byId("said").textContent = `Region ${state.region}, ${data.names[state.region]}`;
  markList();
  markMap();
  remember();
}

function press(id, act) {
  byId(id).addEventListener("click", act);
}

press("previous", () => { state.page -= 1; drawList(); });
press("next", () => { state.page += 1; drawList(); });
press("surprise", () => { if (state.rows.length) choose(state.rows[Math.floor(Math.random() * state.rows.length)]); });
press("back", showList);
press("before", () => { if (state.history.length) { choose(state.history.pop()); state.history.pop(); } });
press("beside", () => { state.beside = state.beside === null ? state.region : null; showCard(); });
press("bands", () => { state.bands = !state.bands; showCard(); });
press("keep", () => {
  const at = state.kept.indexOf(state.region);
  if (at < 0) state.kept.push(state.region);
  else state.kept.splice(at, 1);
  drawKept();
  showCard();
});
byId("controls").addEventListener("submit", (event) => event.preventDefault());
byId("query").addEventListener("keydown", (event) => { if (event.key === "Enter") search(true); });
byId("query").addEventListener("input", () => { if (!byId("query").value.startsWith("#")) search(true); });
byId("least").addEventListener("change", () => { state.least = Math.max(1, Number(byId("least").value) || 1); search(false); });
byId("list").addEventListener("click", (event) => {
  const row = event.target.closest("[data-region]");
  if (row) choose(Number(row.dataset.region));
});
byId("list").addEventListener("keydown", (event) => {
  const row = event.target.closest("[data-region]");
  if (row && (event.key === "Enter" || event.key === " ")) {
    choose(Number(row.dataset.region));
    event.preventDefault();
  }
});
byId("map").addEventListener("click", (event) => {
  const dot = event.target.closest("[data-region]");
  if (dot) choose(Number(dot.dataset.region));
});
byId("map").addEventListener("keydown", (event) => {
  const k = towards(event.key);
  if (k !== null) choose(k, false);
  if (event.key === "Enter") choose(state.region, true);
  if (event.key.startsWith("Arrow")) event.preventDefault();
});
addEventListener("keydown", (event) => {
  const typing = event.target.matches("input");
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape") {
    if (byId("query").value) { byId("query").value = ""; search(true); }
    else if (state.beside !== null) { state.beside = null; showCard(); }
    showList();
  } else if (typing) return;
  else if (event.key === "/") { document.body.dataset.view = "list"; byId("query").focus(); byId("query").select(); }
  else if (event.key === "j") step(1);
  else if (event.key === "k") step(-1);
  else return;
  event.preventDefault();
});
addEventListener("hashchange", () => {
  const named = recall();
  if (named !== null) choose(named, true);
});
roving(byId("list"), "[role=option]", "ArrowDown", "ArrowUp");
roving(byId("sorts"), "button", "ArrowRight", "ArrowLeft");

byId("about").textContent = `${count(K)} regions of ${count(data.n)} activations, θ = ${shape(data.threshold, 3)}`;
byId("least").value = state.least;
document.body.dataset.view = "list";
state.region = data.first;
search(false);
drawKept();
const named = recall();
state.region = named ?? state.region;
state.started = true;
showCard();
if (named !== null) choose(named, true);
