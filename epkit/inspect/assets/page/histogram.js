// ---- histogram -------------------------------------------------------------------------------

const [ACROSS, FLOOR, DEEP] = [260, 78, 104];

function bars(numbers, name, width, reach) {
  const high = Math.max(1, ...numbers);
  const wide = width / Math.max(numbers.length, 1);
  return numbers.map((n, i) => {
    const tall = ((FLOOR - 14) * n) / high;
    const bar = draw("rect", { class: name, x: i * wide, y: FLOOR - tall, width: Math.max(wide - 0.5, 0.5), height: tall });
    const title = draw("title", {});
    const each = reach / numbers.length;
    title.textContent = `${shape(i * each, 2)}–${shape((i + 1) * each, 2)}: ${count(n)}`;
    bar.append(title);
    return bar;
  });
}

function tick(x, anchor, text, y) {
  const element = draw("text", { class: "ep-tick", x, y: y ?? DEEP - 4, "text-anchor": anchor });
  element.textContent = text;
  return element;
}

/** Members' distances up to θ against random activations, each scaled to its own highest bar. */
function histogram(k) {
  const top = Math.max(data.threshold, 1e-9);
  const back = data.background ? [...data.background.bars[k]].map((sign) => parseInt(sign, 36)) : [];
  const reach = top * (back.length ? data.background.reach : 1);
  const x = (value) => Math.min(Math.max(value, 0) / reach, 1) * ACROSS;
  const own = data.bars ? data.bars[k] : [];
  const marks = [...bars(back, "ep-back", ACROSS, reach), ...bars(own, "ep-bar", x(top), top)];
  for (const bar of marks.slice(0, back.length)) bar.replaceChildren(); // their heights are rounded
  if (!data.bars) {
    for (const value of data.sample[k]) {
      marks.push(draw("rect", { class: "ep-bar", x: x(value) - 1, y: 14, width: 2, height: FLOOR - 14 }));
    }
  }
  const [low, mid, end] = [-1, 0, 1].map((s) => x(data.mean[k] + s * data.std[k]));
  marks.push(draw("path", { class: "ep-axis", d: `M0 ${FLOOR}H${ACROSS}M${x(top)} 8V${FLOOR + 4}` }),
    draw("path", { class: "ep-spread", d: `M${low} ${FLOOR + 7}H${end}` }),
    draw("circle", { class: "ep-mean", cx: mid, cy: FLOOR + 7, r: 3 }),
    tick(0, "start", "0"), tick(Math.min(x(top), ACROSS - 24), "middle", `θ ${shape(top, 2)}`));
  if (reach > 1.5 * top) marks.push(tick(ACROSS, "end", shape(reach, 2)));
  if (own.length) marks.push(tick(0, "start", `highest bar: ${count(Math.max(...own))}`, 9));
  const drawn = data.drawn[k];
  const of = data.bars ? `${count(own.reduce((a, b) => a + b, 0))} activations nearest to this exemplar`
    : drawn === data.counts[k] ? `all ${drawn} members`
    : `${drawn} members drawn at random of ${count(data.counts[k])}`;
  const svg = draw("svg", { class: "ep-histogram", viewBox: `0 0 ${ACROSS} ${DEEP}`, role: "img",
    "aria-label": `Distances of ${of}, from 0 to ${shape(data.threshold, 3)}` });
  svg.append(...marks);
  const told = [of, `line: mean ${shape(data.mean[k], 3)} ± ${shape(data.std[k], 3)}`];
  if (back.length) {
    told.push(`grey: ${count(data.background.n)} random activations, median ${shape(data.background.median[k], 2)}, `
      + `${shape(100 * data.background.inside[k], 1)}% within θ`);
  }
  return section("Distances to the exemplar", svg, note(told.join("; ")));
}
