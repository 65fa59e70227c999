// ---- map -------------------------------------------------------------------------------------

const [WIDE, HIGH] = [600, 340];
const MOST = 1500; // dots that are drawn
const placeOf = (k) => [8 + (WIDE - 16) * data.map[2 * k] / 999, 8 + (HIGH - 16) * data.map[2 * k + 1] / 999];

/** Dots of the largest regions: colour interest, faint where the search does not find it. */
function drawMap() {
  const found = new Set(state.rows);
  const large = Array.from({ length: K }, (_, k) => k).filter((k) => data.counts[k] >= state.least)
    .sort((a, b) => data.counts[b] - data.counts[a]).slice(0, MOST);
  const most = Math.max(1e-9, ...large.map((k) => data.interest[k]));
  const dots = large.map((k) => {
    const [x, y] = placeOf(k);
    const hue = 230 - (190 * data.interest[k]) / most;
    const dot = draw("circle", { cx: x.toFixed(1), cy: y.toFixed(1), "data-region": k,
      r: (1.6 + 1.3 * Math.log10(Math.max(data.counts[k], 1))).toFixed(1), class: found.has(k) ? "found" : "faint" });
    dot.style.setProperty("fill", `hsl(${hue.toFixed(0)}, 70%, 50%)`);
    const title = draw("title", {});
    title.textContent = `${k} ${data.names[k]}, ${count(data.counts[k])} members`;
    dot.append(title);
    return dot;
  });
  byId("map").replaceChildren(...dots, draw("circle", { id: "ring", r: 9 }));
  markMap();
}

function markMap() {
  const [x, y] = placeOf(state.region);
  byId("ring").setAttribute("cx", x);
  byId("ring").setAttribute("cy", y);
  byId("map").setAttribute("aria-label", `Map of the regions; region ${state.region} ${data.names[state.region]} is ringed. `
    + "Arrow keys go to the next region that way.");
}

/** The nearest found region in the direction of an arrow key. */
function towards(key) {
  const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key];
  if (!way) return null;
  const [x, y] = placeOf(state.region);
  let best = null;
  let least = Infinity;
  for (const k of state.rows) {
    const [dx, dy] = [placeOf(k)[0] - x, placeOf(k)[1] - y];
    const along = dx * way[0] + dy * way[1];
    const across = Math.abs(dx * way[1]) + Math.abs(dy * way[0]);
    if (along > 0.5 && across <= along && along + across < least) [best, least] = [k, along + across];
  }
  return best;
}
