/**
 * Preloaded into a process under test: its wall clock stands as far off as the file in `TEST_CLOCK_FILE` says, in
 * milliseconds, read anew at each SIGUSR2. Timers and `performance.now()` go on, as they do when a system's clock is
 * set. Once the file was read it is removed.
 */
import { readFileSync, unlinkSync } from "node:fs";
import process from "node:process";

const file = process.env["TEST_CLOCK_FILE"] ?? "";
const RealDate = Date;
let offset = 0;

function step() {
  offset = Number(readFileSync(file, "utf8"));
  unlinkSync(file);
}

globalThis.Date = class extends RealDate {
  constructor(...args) {
    if (args.length === 0) super(RealDate.now() + offset);
    else super(...args);
  }
  static now() {
    return RealDate.now() + offset;
  }
};
process.on("SIGUSR2", step);
