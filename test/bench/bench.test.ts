/** One tiny round through the command itself: the built relay beside the one a user would write. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { expect, it } from "vitest";
import { endWithTest } from "../support/cleanup.ts";
import { tempDir } from "../support/node.ts";
import { benchLacks } from "./load.ts";

const lacks = benchLacks(["wsload", "wspost"]);
const root = resolve(import.meta.dirname, "../..");

interface Row {
  readonly system: string;
  readonly samples: readonly {
    readonly figures: Readonly<Record<string, number>>;
    readonly fault?: string;
  }[];
}

it.skipIf(lacks !== undefined)(
  `a round of the bench gives figures, files and a ratio ${lacks ?? ""}`,
  async () => {
    const folder = await tempDir();
    const files = {
      json: join(folder, "a.json"),
      markdown: join(folder, "a.md"),
      svg: join(folder, "a.svg"),
    };
    const args = "fanout --rounds 1 --seconds 2 --clients 20 --rates 50 --systems relay,naive".split(" ");
    const child = spawn(
      process.execPath,
      [
        ["--conditions=sharmo-source", "--import", "tsx", "test/bench/main.ts", ...args],
        ["--json", files.json, "--markdown", files.markdown],
      ].flat(),
      { cwd: root, stdio: ["ignore", "pipe", "inherit"] },
    );
    endWithTest(() => child.kill("SIGKILL"));
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
    const [code] = await once(child, "close");
    expect(output).toMatch(/50\/s: against naive +[\d.]+ times +at least 1\.5/);
    expect(code).toBe(0);

    const { scenarios } = JSON.parse(await readFile(files.json, "utf8")) as {
      readonly scenarios: readonly { readonly rows: readonly Row[] }[];
    };
    const rows = scenarios.flatMap((scenario) => scenario.rows);
    expect(rows.map(({ system }) => system)).toEqual(["relay", "naive"]);
    for (const { samples } of rows) {
      expect(samples).toHaveLength(1);
      const [sample] = samples;
      expect(sample?.fault).toBeUndefined();
      expect(sample?.figures).toMatchObject({ perCpuSecond: expect.any(Number), p99: expect.any(Number) });
      // 350 bytes of event, and what the system puts around it
      expect(sample?.figures["bytesPerDelivery"]).toBeGreaterThan(350);
      expect(sample?.figures["bytesPerDelivery"]).toBeLessThan(600);
      expect(sample?.figures["p50"]).toBeGreaterThan(0);
    }
    expect(await readFile(files.markdown, "utf8")).toContain("| 50/s | relay |");
    expect(await readFile(files.svg, "utf8")).toContain("relay, 50/s");
  },
);
