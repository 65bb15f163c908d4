// What a user of the generated types writes: it has to compile.
import createClient from "openapi-fetch";
import type { components, paths } from "./schema";

// Lists come in several formats: this client reads JSON.
type Json = "application/json" | "application/problem+json";
const client = createClient<paths, Json>({ baseUrl: "https://example.com/v1", headers: { "x-api-key": "key" } });

export async function meansByDay(source: string): Promise<(number | null)[]> {
  const granularity: components["schemas"]["Granularity"] = "day";
  const { data, error } = await client.GET("/kpis", { params: { query: { granularity, source } } });
  if (error) throw new Error(error.detail);
  const gaps: components["schemas"]["Gaps"][] = data.kpis.map((kpi) => kpi.gaps);
  return gaps.length === 0 ? [] : data.kpis.map((kpi) => kpi.mean);
}

export async function send(samples: number[]): Promise<string> {
  const body: components["schemas"]["EventV1"] = { schema_version: 1, time_stamp: "2019-05-01T06:00:00Z", data: samples };
  const { data, error } = await client.POST("/ingest", { body });
  if (error) throw new Error(error.detail);
  return data.raw_id;
}

export async function page(cursor: string | undefined): Promise<components["schemas"]["Measurement"][]> {
  const { data } = await client.GET("/measurements", { params: { query: { cursor } } });
  return data?.measurements ?? [];
}

// @ts-expect-error A row has no such field: types that take anything would show nothing.
export const missing = (row: components["schemas"]["Measurement"]): unknown => row.no_such_field;
