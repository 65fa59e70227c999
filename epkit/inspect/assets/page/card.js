// ---- card ------------------------------------------------------------------------------------

/** Tokens of places from … to − 1, those of `levels` coloured by their cosine with the exemplar. */
function tokens(context, from, to) {
  const [, , at, left, , , , levels] = context;
  return data.stream.slice(from, to).map((id, i) => {
    const place = from + i;
    const sign = levels ? levels[place - at + left] : undefined;
    const element = make(place === at ? "mark" : "span", place === at ? { class: "ep-member" } : {}, texts[id]);
    if (sign === undefined || sign === "-") return element;
    const member = sign >= "A" && sign <= "Z";
    const cosine = (sign.toLowerCase().charCodeAt(0) - 97) / 25;
    element.setAttribute("style", "");
    element.style.setProperty("--c", cosine.toFixed(2));
    const told = data.membership ? (member ? ", a member" : ", not a member") : "";
    element.title = (cosine ? `u·e ≈ ${cosine.toFixed(2)}` : "u·e ≈ 0 or less") + told;
    return element;
  });
}

function line(context) {
  const [, distance, at, left, right, wideLeft, wideRight] = context;
  const part = (name, from, to) =>
    make("span", { class: `ep-${name}` }, make("span", {}, ...tokens(context, from, to)));
  const summary = make("summary", { class: "ep-line" }, make("span", { class: "ep-gap" }, shape(distance, 3)),
    part("before", at - left, at), part("own", at, at + 1), part("after", at + 1, at + right + 1));
  const details = make("details", {}, summary);
  details.addEventListener("toggle", () => {
    if (details.children.length > 1) return;
    details.append(make("p", { class: "ep-wide" }, said(at - wideLeft, at - left),
      ...tokens(context, at - left, at + right + 1), said(at + right + 1, at + wideRight + 1)));
  }, { once: true });
  return details;
}

const section = (title, ...content) =>
  make("section", {}, make("h4", {}, title), ...content.filter((part) => part !== null));
const note = (text) => make("p", { class: "ep-note" }, text);
const token = (text) => make("code", { class: "ep-token" }, text);

/** Whether promoted tokens are those that come, as far as kept members tell. */
function foretold(k) {
  const [hits, of] = data.foretold[k];
  if (!of) return "";
  return hits ? `one of them follows ${hits} of ${of} kept members`
    : `mark well: they follow none of ${of} kept members, so they do not tell what comes`;
}

function lens(title, rows, k, told) {
  if (!rows) return section(title, note("not known without the model"));
  const [names, logits] = rows[k];
  const items = names.map((word, i) =>
    make("li", {}, token(data.words[word]), " ", make("span", {}, (logits[i] < 0 ? "" : "+") + shape(logits[i], 1))));
  return section(title, told ? note(told) : null, make("ol", { class: "ep-lens" }, ...items));
}

function links(title, pairs, what) {
  const items = pairs.map(([k, value]) =>
    make("li", {}, make("a", { href: `#region-${k}` }, k), " ", token(data.names[k]), make("span", {}, value)));
  return section(title, note(what), make("ol", { class: "ep-links" }, ...items));
}

/** Contexts by kind, or in three bands of equal width between the closest and the farthest. */
function groups(k) {
  const all = members(k);
  if (!state.bands) {
    return Object.entries(data.titles).map(([kind, title]) => [title, all.filter((c) => kindOf(c) === kind)]);
  }
  const once = [...new Map(all.map((c) => [c[2], c])).values()].sort((a, b) => a[1] - b[1]);
  if (!once.length) return [];
  const low = once[0][1];
  const width = (once[once.length - 1][1] - low) / 3;
  const band = (c) => Math.min(Math.floor((c[1] - low) / Math.max(width, 1e-9)), 2);
  const drawn = all.filter((c) => ["random", "all"].includes(kindOf(c)));
  return ["Near", "Middle", "Far"].map((name, i) => {
    const share = `${drawn.filter((c) => band(c) === i).length} of ${drawn.length} drawn at random`;
    const ends = `${shape(low + i * width, 3)} … ${shape(low + (i + 1) * width, 3)}`;
    return [`${name}: ${ends}, ${share}`, once.filter((c) => band(c) === i)];
  });
}

function card(k) {
  const measures = [
    ["members", `${count(data.counts[k])} (${shape((100 * data.counts[k]) / data.n, 2)}%)`],
    ["interest", shape(data.interest[k], 2)],
    ["coherence", shape(data.coherence[k], 3)],
    ["distance", `${shape(data.mean[k], 3)} ± ${shape(data.std[k], 3)}`],
    ["threshold θ", shape(data.threshold, 3)],
    ["founded at", count(data.position[k])],
  ].map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value)));
  const exemplar = data.contexts[k][0];
  const [, , at, left, right] = exemplar;
  const kinds = groups(k).map(([title, own]) => (own.length ? section(title, ...own.map(line)) : null));
  const near = data.nearest[k].map((other, i) => [other, shape(data.gaps[k][i], 3)]);
  const second = (data.competitors ? data.competitors[k] : []).map(([other, n]) => [other, `${n}×`]);
  const total = data.bars ? count(data.bars[k].reduce((a, b) => a + b, 0)) : "";
  const of = data.competitors ? `second for ${total} activations` : "not known: the page was written without activations";
  return make("article", { class: "epkit-card", "data-region": k },
    make("header", {}, make("h3", { tabindex: -1 }, make("span", { class: "ep-number" }, `Region ${count(k)}`), " ",
      token(data.names[k])), make("dl", {}, ...measures)),
    make("div", { class: "ep-columns" },
      make("div", { class: "ep-main" },
        section("Exemplar", make("p", { class: "ep-exemplar" }, ...tokens(exemplar, at - left, at + right + 1))),
        ...kinds, note(data.note)),
      make("div", { class: "ep-side" },
        lens("Promoted next tokens", data.promoted, k, data.foretold && foretold(k)), lens("Suppressed next tokens", data.suppressed, k),
        histogram(k), links("Nearest regions", near, "cosine distance of exemplars"),
        links("Competitors", second, of))));
}
