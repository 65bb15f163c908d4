// What is put on the page comes in as text, and stays text: there is no innerHTML anywhere.

export const byId = (id) => document.getElementById(id);

export function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

export function drawing(name, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function filled(made, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

// Replaces what is inside, unless it is the same already: a list that is being read keeps its focus and its place.
const fingerprints = new WeakMap();

export function fill(host, fingerprint, make) {
  if (fingerprints.get(host) === fingerprint) return;
  fingerprints.set(host, fingerprint);
  host.replaceChildren(...make());
}

export function show(node, isShown) {
  node.hidden = !isShown;
}

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function say(text) {
  byId("said").textContent = text;
}

export function save(name, parts, type) {
  const address = URL.createObjectURL(new Blob(parts, { type }));
  element("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
