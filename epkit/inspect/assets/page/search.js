// ---- search and order ------------------------------------------------------------------------

const SORTS = {
  interest: { name: "interest", score: (k) => data.interest[k] },
  match: { name: "match", score: (k) => (state.match ? state.match[k] : data.interest[k]) },
  size: { name: "members", score: (k) => data.counts[k] },
  coherence: { name: "coherence", score: (k) => data.coherence[k] },
  nearest: { name: "near the one shown", score: (k) => -gapTo(k) },
};

let gaps = null; // of the region on show to those named as its nearest
function gapTo(k) {
  if (!gaps || gaps.region !== state.region) {
    gaps = { region: state.region, of: new Map([[state.region, 0]]) };
    data.nearest[state.region].forEach((other, i) => gaps.of.set(other, data.gaps[state.region][i]));
  }
  return gaps.of.get(k) ?? 9;
}

let laidOut = null; // text of every member's context, laid out at the first search
function contextsOf(k) {
  laidOut ??= data.contexts.map((list) => list.slice(1).map(around));
  return laidOut[k];
}

/** Regular expression of what is typed, or null and a sentence that says why there is none. */
function expression(query) {
  try {
    return [new RegExp(query, "iu"), ""];
  } catch (error) {
    return [null, `not searched in the text around: “${query}” is not a regular expression`];
  }
}

/** Scores of all regions by token, text around it and promoted token, and a sentence. */
function find(query) {
  const wanted = (query.trim() || query).toLowerCase();
  const lower = texts.map((text) => text.toLowerCase());
  const equal = lower.map((text) => text.trim() === wanted);
  const inside = lower.map((text) => text.includes(wanted));
  const words = data.words.map((word) => word.toLowerCase());
  const [pattern, problem] = expression(query);
  const end = performance.now() + 2000;
  const ways = { "a member token": 0, "text around": 0, "a promoted token": 0 };
  let late = false;
  const scores = new Float32Array(K);
  for (let k = 0; k < K; k += 1) {
    const all = members(k);
    const share = (test) => all.filter(test).length / Math.max(all.length, 1);
    const token = share((c) => equal[data.stream[c[2]]]) + 0.01 * share((c) => inside[data.stream[c[2]]]);
    late ||= performance.now() > end;
    const text = pattern && !late ? contextsOf(k).filter((t) => pattern.test(t)).length / Math.max(all.length, 1) : 0;
    const rank = data.promoted ? data.promoted[k][0].findIndex((w) => words[w] === wanted) : -1;
    const promoted = rank < 0 ? 0 : 1 / (1 + rank);
    if (state.least <= data.counts[k]) {
      ways["a member token"] += token > 0;
      ways["text around"] += text > 0;
      ways["a promoted token"] += promoted > 0;
    }
    scores[k] = token + 0.3 * text + 0.3 * promoted;
  }
  const told = Object.entries(ways).map(([name, n]) => `${count(n)} by ${name}`);
  if (problem) told.push(problem);
  if (late) told.push("the expression takes longer than 2 s and was given up; make it simpler");
  return [scores, told.join("; ")];
}

/** Search for what is typed; #12 goes to region 12. `turn` makes the order that of the match. */
function search(turn) {
  const query = byId("query").value;
  const number = /^#(\d+)$/.exec(query.trim());
  if (number) {
    const k = Number(number[1]);
    byId("status").textContent = k < K ? `region ${count(k)}` : `regions are numbered 0 … ${count(K - 1)}`;
    if (k < K) choose(k);
    return;
  }
  let told = "";
  [state.match, told] = query ? find(query) : [null, ""];
  if (turn) state.sort = query ? "match" : "interest";
  order();
  const found = `${count(state.rows.length)} of ${count(K)} regions`;
  byId("status").textContent = query ? `${found} match “${query}”: ${told}` : `${found} have ${state.least} members or more`;
}

function order() {
  const rows = [];
  for (let k = 0; k < K; k += 1) {
    if (data.counts[k] >= state.least && (!state.match || state.match[k] > 0)) rows.push(k);
  }
  const { score } = SORTS[state.sort];
  const scores = new Map(rows.map((k) => [k, score(k)]));
  state.rows = rows.sort((a, b) => scores.get(b) - scores.get(a) || data.counts[b] - data.counts[a] || a - b);
  state.page = 0;
  drawList();
  drawMap();
  remember();
}
