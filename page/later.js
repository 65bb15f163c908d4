// What the views of rejected events and contracts need beyond the first look: it is fetched with them.

export { showContract } from "./contract.js";
export { refreshRejected, showSelection, startRejected } from "./rejected.js";
