import { catalogue, eventTypes, type FieldKind } from "../catalogue.ts";

/** A documented field that is missing or has another type. Never holds the value itself. */
export interface DataProblem {
  readonly field: string;
  readonly expected: "string" | "number";
  readonly problem: "missing" | "wrong_type";
}

interface Documented {
  readonly field: string;
  readonly expected: DataProblem["expected"];
  /** May be absent, or null. */
  readonly optional: boolean;
}

const documented: ReadonlyMap<string, readonly Documented[]> = new Map(
  eventTypes.map((type) => [
    type,
    Object.entries<FieldKind>(catalogue[type].fields).map(([field, kind]) => ({
      field,
      expected: kind.startsWith("string") ? "string" : "number",
      optional: kind.endsWith("?"),
    })),
  ]),
);

/** Compares `data` with the catalogue; none for an event that the catalogue does not know. */
export function dataProblems(type: string, data: Readonly<Record<string, unknown>>): DataProblem[] {
  const problems: DataProblem[] = [];
  for (const { field, expected, optional } of documented.get(type) ?? []) {
    const value = Object.hasOwn(data, field) ? data[field] : undefined;
    if (value === undefined) {
      if (!optional) problems.push({ field, expected, problem: "missing" });
    } else if (typeof value !== expected && !(optional && value === null)) {
      problems.push({ field, expected, problem: "wrong_type" });
    }
  }
  return problems;
}
