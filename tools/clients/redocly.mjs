// Redocly's own lint, without the rest of its command line, which is four times as large.
import { createConfig, lint } from "@redocly/openapi-core";

const config = await createConfig({ extends: ["recommended-strict"] });
const problems = await lint({ ref: process.argv[2], config });
for (const { ruleId, message, location } of problems) console.error(ruleId, message, location[0]?.pointer);
process.exit(problems.length === 0 ? 0 : 1);
