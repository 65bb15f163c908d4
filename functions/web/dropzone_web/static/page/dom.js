// What is put on the page comes in as text, and stays text: there is no innerHTML anywhere.

export const byId = (id) => document.getElementById(id);

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "onclick") made.addEventListener("click", value);
    else if (value !== null && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

// Replaces what is inside, unless it is the same already: a list that is being read keeps its focus and its place.
const told = new WeakMap();

export function fill(host, fingerprint, make) {
  if (told.get(host) === fingerprint) return;
  told.set(host, fingerprint);
  host.replaceChildren(...make());
}

export function show(node, isShown) {
  node.hidden = !isShown;
}

export function say(text) {
  byId("said").textContent = text;
}
