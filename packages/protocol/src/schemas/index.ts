/** Checks at run time that follow from the catalogue; for servers, no part of what a browser loads. */
export { type DataProblem, dataProblems } from "./data.ts";
