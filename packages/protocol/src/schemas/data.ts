import { catalogue, isEventType } from "../catalogue.ts";

/** A documented field that is missing or has another type. Never holds the value itself. */
export interface DataProblem {
  readonly field: string;
  readonly expected: "string" | "number";
  readonly problem: "missing" | "wrong_type";
}

/** Compares `data` with the catalogue; none for an event that the catalogue does not know. */
export function dataProblems(type: string, data: Readonly<Record<string, unknown>>): DataProblem[] {
  if (!isEventType(type)) return [];
  const problems: DataProblem[] = [];
  for (const [field, kind] of Object.entries(catalogue[type].fields)) {
    const expected = kind.startsWith("string") ? "string" : "number";
    const value = Object.hasOwn(data, field) ? data[field] : undefined;
    if (value === undefined) {
      if (!kind.endsWith("?")) problems.push({ field, expected, problem: "missing" });
    } else if (typeof value !== expected && !(kind.endsWith("?") && value === null)) {
      problems.push({ field, expected, problem: "wrong_type" });
    }
  }
  return problems;
}
