"use strict";
// The data of the page, and how things are made. Every text from the data is put on the page as a
// text node; nothing here reads HTML from it, and nothing connects to anywhere.

const data = JSON.parse(document.getElementById("data").textContent);
const K = data.counts.length;
const PAGE = 100;
const byId = (id) => document.getElementById(id);

/** An element with attributes and children; strings become text nodes. */
function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) element.setAttribute(name, value);
  element.append(...children.filter((child) => child !== null && child !== undefined).map((c) => (c instanceof Node ? c : String(c))));
  return element;
}

/** The same for a drawing. */
function draw(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function button(text, act, attributes) {
  const element = make("button", { type: "button", ...attributes }, text);
  element.addEventListener("click", act);
  return element;
}

const shape = (x, digits) => x.toFixed(digits);
const count = (x) => x.toLocaleString("en-US");

// What is on show. `view` matters on narrow screens, where either the list or the card is there.
const state = {
  rows: [], match: null, page: 0, sort: "interest", least: data.least, region: 0, beside: null,
  bands: false, kept: [], history: [], started: false,
};

// A context is [kind, distance, at, left, right, wide left, wide right, levels]: `at` is a place in
// data.stream, the others are numbers of tokens on either side. The first of a region is its exemplar.
const texts = data.texts;
const kindOf = (context) => data.kinds[context[0]];
const members = (k) => data.contexts[k].slice(1);
const tokenOf = (context) => texts[data.stream[context[2]]];
const said = (from, to) => data.stream.slice(from, to).map((t) => texts[t]).join("");
const around = (context) => said(context[2] - context[3], context[2] + context[4] + 1);

/** Distinct tokens of a region's members, the frequent ones first. */
function tokensOf(k) {
  const seen = new Map();
  for (const context of members(k)) {
    const text = tokenOf(context).trim() || "␣";
    seen.set(text, (seen.get(text) || 0) + 1);
  }
  return [...seen].sort((a, b) => b[1] - a[1]).slice(0, 8).map((pair) => pair[0]).join(" ");
}
