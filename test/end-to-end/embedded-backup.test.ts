/** A backup of the embedded log as an operator makes it: a command beside a running relay, and a relay on the copy. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, readdir, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { startNode, type TestNode, tempDir } from "../support/node.ts";
import { connect, type StockClient } from "../support/stock-client.ts";
import { token } from "../support/test-token.ts";
import { until } from "../support/until.ts";
import { makeEvent, post, postTo, type TestEvent } from "../support/webhook.ts";

const root = resolve(import.meta.dirname, "../..");

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function backup(...args: readonly string[]): Promise<Ran> {
  const program = ["--conditions=sharmo-source", "--import", "tsx", "apps/relay/src/backup.ts", ...args];
  const child = spawn(process.execPath, program, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
  let out = "";
  let err = "";
  child.stdout.on("data", (text: Buffer) => {
    out += text.toString();
  });
  child.stderr.on("data", (text: Buffer) => {
    err += text.toString();
  });
  const [code] = (await once(child, "close")) as [number];
  return { code, out, err };
}

const made = (count: number): TestEvent[] =>
  Array.from({ length: count }, (_, n) =>
    makeEvent(n % 3 ? "token.price_changed" : "transaction.created", { token_id: `tok_${n % 5}`, n }),
  );

async function follow(
  node: TestNode,
  since?: string,
): Promise<StockClient & { ack: Record<string, unknown> }> {
  const client = await connect(node.url, await token({ scope: "events:*" }));
  const ack = await client.request("subscribe", { topics: ["*"], ...(since === undefined ? {} : { since }) });
  return { ...client, ack };
}

/** The part of the log that a folder of a backup holds becomes that of a new relay. */
async function bringBack(folder: string): Promise<TestNode> {
  const dataDir = await tempDir();
  await cp(join(folder, "event-log"), join(dataDir, "event-log"), { recursive: true });
  return startNode({ dataDir });
}

const gapsOf = (client: StockClient & { ack: Record<string, unknown> }): unknown[] => [
  ...(client.ack["gap"] === undefined ? [] : [client.ack["gap"]]),
  ...client.notices.filter(({ name }) => name === "relay.gap").map(({ notice }) => notice),
];

describe("a backup", () => {
  it("made while events come in holds a whole beginning of them, and says how to bring it back", async () => {
    const node = await startNode();
    const events = made(3_000);
    let posting = true;
    let next = 0;
    const posters = Array.from({ length: 8 }, async () => {
      while (posting && next < events.length) {
        const event = events[next++];
        if (event !== undefined) expect((await postTo(node.url, event)).status).toBe(200);
      }
    });
    await until(() => next > 100);
    const copies = [await backup("--data", node.dataDir)];
    posting = false;
    await Promise.all(posters);
    const posted = next;
    copies.push(await backup("--data", node.dataDir, "--to", join(node.dataDir, "elsewhere")));
    const heads: number[] = [];
    for (const { code, out, err } of copies) {
      expect({ code, err }).toEqual({ code: 0, err: "" });
      const folder = /^Backup written: (.+)$/m.exec(out)?.[1] ?? "";
      const head = Number(/events up to number ([0-9]+)/.exec(out)?.[1]);
      heads.push(head);
      expect(out).toContain(`cp -r ${join(folder, "event-log")} ${join(node.dataDir, "event-log")}`);
      expect(await readdir(join(folder, "event-log"))).toEqual(["data.mdb"]);
      const copy = await bringBack(folder);
      const stored = await storedIn(copy);
      expect(stored).toEqual((await storedIn(node)).slice(0, head));
    }
    expect(heads[0]).toBeGreaterThan(100);
    expect(heads[0]).toBeLessThan(posted);
    expect(heads[1]).toBe(posted);
    expect((await readdir(join(node.dataDir, "backups"))).length).toBe(1);
  });

  it("brought back goes on in a new epoch; whoever may have missed what it lacks is told so", async () => {
    const node = await startNode();
    const client = await follow(node);
    const before = made(30);
    await post(node.url, ...before);
    await until(() => client.got.length === 30);
    const { out } = await backup("--data", node.dataDir);
    const lacking = made(20);
    await post(node.url, ...lacking);
    await until(() => client.got.length === 50);
    const behind = client.got[19]?.meta.cursor;
    const ahead = client.got[39]?.meta.cursor;
    await node.relay.stop();

    const back = await bringBack(/^Backup written: (.+)$/m.exec(out)?.[1] ?? "");
    const [late, early] = [await follow(back, behind), await follow(back, ahead)];
    const fresh = await follow(back);
    // the vendor posts again what it has no answer for; here it is one of those that the backup lacks
    const [again] = lacking;
    const after = [...(again === undefined ? [] : [again]), ...made(10)];
    await post(back.url, ...after);
    const ids = after.map(({ id }) => id);
    await until(() => [late, early, fresh].every((one) => one.ids().includes(ids.at(-1) ?? "")));
    expect(late.ids()).toEqual([...before.slice(20).map(({ id }) => id), ...ids]);
    expect(early.ids()).toEqual(ids);
    expect(fresh.ids()).toEqual(ids);
    for (const one of [late, early])
      expect(gapsOf(one)).toEqual([expect.objectContaining({ reason: "log_reset" })]);
    expect(gapsOf(fresh)).toEqual([]);
    const old = new Set(client.got.map(({ meta }) => meta.cursor));
    for (const { meta } of [...early.got, ...fresh.got]) expect(old).not.toContain(meta.cursor);
  });

  it("of nothing, or to where nothing can be written, is refused in one line and leaves nothing behind", async () => {
    const dataDir = await tempDir();
    const empty = await backup("--data", dataDir);
    expect(empty).toMatchObject({ code: 1, out: "" });
    expect(empty.err).toMatch(/^there is no event log in .*: name the relay's data folder with --data .*\n$/);
    expect(await readdir(dataDir)).toEqual([]);

    const node = await startNode();
    const file = join(dataDir, "file");
    await writeFile(file, "");
    const refused = await backup("--data", node.dataDir, "--to", join(file, "backups"));
    expect(refused).toMatchObject({ code: 1, out: "" });
    expect(refused.err).toMatch(
      /^no backup could be written to .*file\/backups \(ENOTDIR.*\): choose another folder with --to\n$/,
    );
    expect(await backup("--into", "x")).toMatchObject({ code: 1, err: expect.stringContaining("--to DIR") });
  });
});

async function storedIn(node: TestNode): Promise<string[]> {
  const authorization = `Bearer ${await token({ scope: "events:* relay:read" })}`;
  const ids: string[] = [];
  for (let since = ""; ; ) {
    const answer = await fetch(`${node.url}/v1/events?limit=1000${since}`, { headers: { authorization } });
    const page = (await answer.json()) as { events: { event: { id: string } }[]; next: string };
    if (page.events.length === 0) return ids;
    ids.push(...page.events.map(({ event }) => event.id));
    since = `&since=${page.next}`;
  }
}
