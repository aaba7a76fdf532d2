import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { contractSettings, newEvent, readAll } from "./contract.test-harness.ts";
import { openDatabase } from "./embedded-database.ts";
import { makeFolder } from "./embedded-folder.ts";
import { openEmbeddedLog } from "./embedded-log.ts";
import { metaKey } from "./embedded-tables.ts";

let dir: string;
let folder: string;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "sharmo-log-"));
  folder = join(dir, "event-log");
});

afterEach(() => rm(dir, { recursive: true, force: true }));

function open(at = dir) {
  return openEmbeddedLog({ dir: at, settings: contractSettings });
}

/** Names and bytes of everything in the folder. */
async function contents(): Promise<Map<string, string>> {
  const names = await readdir(folder);
  const read = async (name: string) =>
    [name, (await readFile(join(folder, name))).toString("latin1")] as const;
  return new Map(await Promise.all(names.map(read)));
}

async function refusal(at = dir): Promise<{ code: string; message: string }> {
  return open(at).then(
    () => Promise.reject(new Error("it was opened")),
    (error: { code: string; message: string }) => ({ code: error.code, message: error.message }),
  );
}

/** Expects that opening is refused so, in one line, and that nothing is changed by it. */
async function expectRefusal(message: RegExp): Promise<void> {
  const before = await contents();
  const refused = await refusal();
  expect(refused).toEqual({ code: "unusable", message: expect.stringMatching(message) });
  expect(refused.message).not.toContain("\n");
  expect(refused.message).toContain(folder);
  const after = await contents();
  expect([...after.keys()]).toEqual([...before.keys()]);
  for (const [name, bytes] of before) expect(after.get(name) === bytes, name).toBe(true);
}

describe("the data folder", () => {
  it("is made if it is not there, with all that lies above it", async () => {
    const log = await open(join(dir, "a", "b"));
    await log.close();
    expect(await readdir(join(dir, "a", "b"))).toEqual(["event-log"]);
  });

  it("may hold other things, which stay as they are", async () => {
    await writeFile(join(dir, "keys.json"), "{}");
    await (await open()).close();
    expect((await readdir(dir)).sort()).toEqual(["event-log", "keys.json"]);
  });

  it("that cannot be made is refused by name, with what to do", async () => {
    await writeFile(join(dir, "file"), "");
    const at = join(dir, "file", "data");
    const { code, message } = await refusal(at);
    expect(code).toBe("unusable");
    expect(message).toBe(
      `the data folder ${at} cannot be written (ENOTDIR): let this user write there, or set RELAY_DATA_DIR to another folder`,
    );
  });

  it.skipIf(process.getuid?.() === 0)(
    "that cannot be written is refused by name, with what to do",
    async () => {
      const at = join(dir, "locked");
      await mkdir(at, { mode: 0o500 });
      expect(await refusal(at)).toMatchObject({
        code: "unusable",
        message: expect.stringMatching(/cannot be written \(EACCES\)/),
      });
    },
  );

  it("with a file of another kind is refused and left as it is", async () => {
    await mkdir(folder);
    await writeFile(join(folder, "data.mdb"), "these are not the pages you are looking for".repeat(200));
    await expectRefusal(/data\.mdb is not an event log of Sharmo Relay: move it away, or set RELAY_DATA_DIR/);
    await writeFile(join(folder, "data.mdb"), "short");
    await expectRefusal(/is not an event log/);
  });

  it("with the database of something else is refused and left as it is", async () => {
    const other = openDatabase(folder);
    await other.put(Buffer.from("theirs"), Buffer.from("data"));
    await other.close();
    await rm(join(folder, "lock.mdb"));
    await expectRefusal(/data\.mdb is not an event log of Sharmo Relay/);
  });

  it("with a log of a newer format is refused and left as it is", async () => {
    await (await open()).close();
    const db = openDatabase(folder);
    const meta = JSON.parse(db.get(metaKey)?.toString() ?? "") as object;
    await db.put(metaKey, Buffer.from(JSON.stringify({ ...meta, format: 2, head: "in other words" })));
    await db.close();
    await expectRefusal(
      /has format 2 and this build reads 1: start the newer Sharmo Relay again, or set RELAY_DATA_DIR/,
    );
  });

  it("with a damaged log is refused and left as it is", async () => {
    await (await open()).close();
    const db = openDatabase(folder);
    await db.put(metaKey, Buffer.from('{"format":1}'));
    await db.close();
    const before = await contents();
    const refused = await refusal();
    expect(refused).toEqual({
      code: "unusable",
      message: expect.stringMatching(/is damaged: its meta cannot be read/),
    });
    expect((await contents()).get("data.mdb") === before.get("data.mdb")).toBe(true);
  });

  it("is held by this process while its log is open", async () => {
    const log = await open();
    expect(await refusal()).toEqual({
      code: "in_use",
      message: expect.stringContaining(`held by process ${process.pid} `),
    });
    await log.accept(newEvent(), undefined);
    await log.close();
    const again = await open();
    expect(await readAll(again)).toHaveLength(1);
    await again.close();
  });

  it("is taken from processes that are gone, and from a number that now belongs to another", async () => {
    await (await open()).close();
    const gone = ["held-by.999999999.0123abcd-1", `held-by.${process.ppid}.0123abcd-1`];
    for (const name of gone) await writeFile(join(folder, name), "");
    const log = await open();
    const held = (await readdir(folder)).filter((name) => name.startsWith("held-by"));
    expect(held).toEqual([expect.stringContaining(`held-by.${process.pid}.`)]);
    await log.close();
    expect((await readdir(folder)).sort()).toEqual(["data.mdb", "lock.mdb"]);
  });
});

describe("a folder to be made", () => {
  it("where none can be is refused, and not tried for ever", async () => {
    // Linux only: elsewhere there is no such place, and it is refused all the same
    await expect(makeFolder("/proc/sharmo-relay/event-log")).rejects.toThrow();
  });

  it("may be made by several at once, and be there already", async () => {
    const dir = await mkdtemp(join(tmpdir(), "sharmo-folder-"));
    try {
      const folder = join(dir, "a", "b", "c");
      await Promise.all(Array.from({ length: 20 }, () => makeFolder(folder)));
      await makeFolder(folder);
      expect(await readdir(dir)).toEqual(["a"]);
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  });
});
