// The line for a shell that asks what the page asked. The key stays out of it.

export const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

export function curlOf(base, path, parameters, accept = null) {
  // Colons of times need no escape in a query, and are easier to read and to change.
  const query = new URLSearchParams(parameters).toString().replaceAll("%3A", ":");
  const address = quoted(`${base}${path}${query ? `?${query}` : ""}`);
  return `curl -sS --compressed ${address} -H "x-api-key: $KEY"${accept ? ` -H ${quoted(`accept: ${accept}`)}` : ""}`;
}

export const curlToSend = (base, event) =>
  `curl -sS ${quoted(`${base}ingest`)} -H "x-api-key: $KEY" -H 'content-type: application/json' -d ${quoted(event)}`;

// Rows as CSV for a spreadsheet: UTF-8 with its mark, and no cell that would run as a formula.
export function csvOf(columns, rows) {
  const line = (cells) => `${cells.map(cellOf).join(",")}\r\n`;
  return `\ufeff${line(columns)}${rows.map(line).join("")}`;
}

function cellOf(value) {
  const text = value === null || value === undefined ? "" : String(value);
  const safe = typeof value === "string" && /^[=+\-@\t\r\n＝＋－＠]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
