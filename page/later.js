// What isn't needed for the first look at the sources: it is fetched when it is.

export { Chart } from "./charts.js";
export { showContract } from "./contract.js";
export { startData } from "./data.js";
export { refreshRejected, showSelection, startRejected } from "./rejected.js";
