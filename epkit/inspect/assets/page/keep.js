// ---- bookmarks, address ----------------------------------------------------------------------

/** What a bookmark says: numbers, texts and positions in the stream. */
function bookmark(k) {
  const all = members(k);
  return { ...data.about, region: k, name: data.names[k], members: data.counts[k], exemplar: data.position[k],
    shown_members: all.map((context) => data.positions[context[2]]) };
}

function asText(rows, kind) {
  if (kind === "json") return JSON.stringify(rows, null, 1);
  const cell = (value) => {
    let text = Array.isArray(value) ? value.join(" ") : String(value);
    if (typeof value === "string" && /^[=+\-@\t\r]/.test(text)) text = `'${text}`; // no formula
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const names = Object.keys(rows[0] || { region: 0 });
  return [names, ...rows.map((row) => names.map((name) => row[name]))].map((row) => row.map(cell).join(",")).join("\n");
}

function download(kind) {
  const link = make("a", { download: `bookmarks.${kind}`,
    href: URL.createObjectURL(new Blob([asText(state.kept.map(bookmark), kind)], { type: `text/${kind}` })) });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function drawKept() {
  byId("kept").replaceChildren(
    state.kept.length ? `${state.kept.length} bookmarked: ` : "Nothing is bookmarked.",
    ...state.kept.map((k) => make("a", { href: `#region-${k}` }, `${k} ${data.names[k]}`)),
    ...(state.kept.length ? ["csv", "json"].map((kind) => button(kind.toUpperCase(), () => download(kind))) : []));
}

/** The address says what is on show: region, one beside it, search, order, fewest members. */
function remember() {
  if (!state.started) return; // the address that was asked for is still to be read
  const query = byId("query").value;
  const parts = new URLSearchParams();
  if (state.beside !== null) parts.set("beside", state.beside);
  if (query && state.match) parts.set("search", query);
  if (state.sort !== (state.match ? "match" : "interest")) parts.set("sort", state.sort);
  if (state.least !== data.least) parts.set("least", state.least);
  const rest = parts.toString();
  history.replaceState(null, "", `#region-${state.region}${rest ? `?${rest}` : ""}`);
}

/** Read the address; the region it names, null where it names none. */
function recall() {
  const named = /^#region-(\d+)(?:\?(.*))?$/.exec(location.hash);
  if (!named || Number(named[1]) >= K) return null;
  const parts = new URLSearchParams(named[2] || "");
  if (named[2]) {
    const beside = Number(parts.get("beside") ?? NaN);
    state.beside = Number.isInteger(beside) && beside >= 0 && beside < K ? beside : null;
    byId("query").value = parts.get("search") || "";
    state.least = Math.max(1, Number(parts.get("least")) || data.least);
    byId("least").value = state.least;
    search(true);
    if (Object.hasOwn(SORTS, parts.get("sort"))) {
      state.sort = parts.get("sort");
      order();
    }
  }
  return Number(named[1]);
}
