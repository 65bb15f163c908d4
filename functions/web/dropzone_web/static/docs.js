// The example object and instant in the paths of the document. "Try it out" uses the newest ones instead.
const EXAMPLES = { raw_id: "01a20e71-e5a4-700b-bae4-431c79e16819", measured_at: encodeURIComponent("2019-05-01T10:00:00Z") };

async function withNewest(request) {
  const key = request.headers?.["x-api-key"];
  const wanted = Object.keys(EXAMPLES).filter((name) => request.url.includes(`/${EXAMPLES[name]}`));
  if (!key || wanted.length === 0) return request;
  const answer = await fetch("measurements?limit=1", { headers: { "x-api-key": key } });
  const [newest] = answer.ok ? (await answer.json()).measurements : [];
  for (const name of newest ? wanted : []) {
    request.url = request.url.replace(`/${EXAMPLES[name]}`, `/${encodeURIComponent(newest[name])}`);
  }
  return request;
}

// All references are relative, so that the page works under any stage and prefix. No validator: that is another host.
window.ui = SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  docExpansion: "list",
  tryItOutEnabled: true,
  // Forty schemas below the operations say little, and take long to draw; each operation shows its own.
  defaultModelsExpandDepth: 0,
  validatorUrl: null,
  requestInterceptor: withNewest,
});

// Swagger UI has a dark theme, and leaves to its page when to use it.
const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();

// Its code in running text is higher than a line, and would cover the lines around it. The one server is the one of the page.
// Where there is little room, what is in columns stands below each other.
const style = new CSSStyleSheet();
style.replaceSync(`
  .swagger-ui :is(.markdown, .renderedMarkdown) code { padding: 0 4px; }
  .swagger-ui :is(.markdown, .renderedMarkdown) p { line-height: 1.5; }
  .swagger-ui :focus-visible { outline: 2px solid #4990e2; outline-offset: 2px; }
  .swagger-ui .auth-btn-wrapper { gap: 8px; }
  .swagger-ui .scheme-container .schemes .schemes-server-container { display: none; }
  .swagger-ui .scheme-container .schemes { justify-content: flex-end; }
  @media (max-width: 40rem) {
    .swagger-ui .opblock-tag { flex-wrap: wrap; }
    .swagger-ui .opblock-tag small { order: 1; flex: 1 0 100%; padding: 0; }
    .swagger-ui :is(table.parameters, table.responses-table) :is(tbody, tr, td) { display: block; width: auto; }
    .swagger-ui :is(table.parameters, table.responses-table) > thead { display: none; }
    .swagger-ui :is(table.parameters, table.responses-table) td { padding: 8px 0 0; }
    .swagger-ui .responses-inner :is(h4, h5) { margin-top: 12px; }
  }
`);
document.adoptedStyleSheets = [style];
