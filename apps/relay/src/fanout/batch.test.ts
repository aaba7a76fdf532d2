import { constants, createInflateRaw, inflateRawSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { Batch, type Framed } from "./batch.ts";
import { deflatedFrame, flushEnd, textFrame } from "./websocket-frame.ts";

interface Named extends Framed {
  readonly name: string;
}

function frame(name: string): Named {
  const message = Buffer.from(name);
  const websocket = textFrame(message);
  return { name, message, websocket, deflated: deflatedFrame(message) ?? websocket };
}

const [a, b, c] = [frame("aa"), frame("b"), frame("ccc")];
const names = (batch: Batch<Named>): string[] => batch.frames().map(({ name }) => name);

test("sockets that wait for the same frames share one batch and one buffer", () => {
  const first = new Batch(a, undefined);
  const [one, other] = [first.with(b), first.with(b)];
  expect(other).toBe(one);
  expect(one.wire("plain")).toBe(other.wire("plain"));
  expect(one.wire("plain")).toEqual(Buffer.concat([a.websocket, b.websocket]));
  expect(one.bytes).toBe(one.wire("plain").length);
});

test("sockets that wait for different frames have batches of their own", () => {
  const first = new Batch(a, undefined);
  const long = first.with(b).with(c);
  const short = first.with(c);
  expect(names(long)).toEqual(["aa", "b", "ccc"]);
  expect(names(short)).toEqual(["aa", "ccc"]);
  expect(names(first)).toEqual(["aa"]);
  expect(long.length).toBe(3);
});

test("one frame goes out as it is, without a copy", () => {
  expect(new Batch(a, undefined).wire("plain")).toBe(a.websocket);
});

/** Reads frames as a client with permessage-deflate does that keeps its window from message to message (RFC 7692, 7.2.2). */
class Reader {
  readonly #inflate = createInflateRaw();
  readonly #keeps: boolean;
  constructor(keeps: boolean) {
    this.#keeps = keeps;
  }
  async read(wire: Buffer): Promise<string[]> {
    const messages: string[] = [];
    for (let at = 0; at < wire.length; ) {
      const first = wire[at] ?? 0;
      const short = wire[at + 1] ?? 0;
      const header = short === 126 ? 4 : short === 127 ? 10 : 2;
      const length =
        short === 126
          ? wire.readUInt16BE(at + 2)
          : short === 127
            ? Number(wire.readBigUInt64BE(at + 2))
            : short;
      const payload = wire.subarray(at + header, at + header + length);
      messages.push(first === 0xc1 ? await this.#inflated(payload) : payload.toString());
      at += header + length;
    }
    return messages;
  }
  async #inflated(payload: Buffer): Promise<string> {
    const all = Buffer.concat([payload, flushEnd]);
    if (!this.#keeps) return inflateRawSync(all, { finishFlush: constants.Z_SYNC_FLUSH }).toString();
    const chunks: Buffer[] = [];
    const take = (chunk: Buffer): unknown => chunks.push(chunk);
    this.#inflate.on("data", take);
    this.#inflate.write(all);
    await new Promise<void>((resolve) => this.#inflate.flush(() => resolve()));
    this.#inflate.off("data", take);
    return Buffer.concat(chunks).toString();
  }
}

/** What events look like: much alike, some short, some long, some that do not compress. */
const messages = fc.array(
  fc.oneof(
    fc.integer().map((n) => `42["token.price_changed",{"id":"evt_${n}","data":{"token_id":"tok_${n % 7}"}}]`),
    fc.string({ maxLength: 12 }),
    fc.string({ minLength: 200, maxLength: 3_000, unit: "binary" }),
    fc.integer({ min: 1, max: 90_000 }).map((length) => "price ".repeat(length / 6)),
  ),
  { minLength: 1, maxLength: 12 },
);

describe("compressed", () => {
  it.each(["deflated", "chained"] as const)(
    "(%s) every message is read as it was, write after write",
    async (reads) => {
      await fc.assert(
        fc.asyncProperty(fc.array(messages, { minLength: 1, maxLength: 5 }), async (writes) => {
          const reader = new Reader(reads === "chained");
          for (const texts of writes) {
            const [first, ...rest] = texts.map(frame);
            if (first === undefined) continue;
            // enough sockets hold it for a chain
            let batch = new Batch(first, undefined);
            for (let held = 0; held < 20; held++) batch.hold();
            for (const next of rest) {
              const before = batch;
              for (let held = 0; held < 20; held++) batch = before.with(next);
            }
            expect(await reader.read(batch.wire(reads))).toEqual(
              texts.map((text) => frame(text).message.toString()),
            );
          }
        }),
        { numRuns: 60 },
      );
    },
  );

  it("later messages of a chain are much smaller, and a batch of few sockets is no chain", () => {
    const events = [1, 2, 3, 4].map((n) =>
      frame(
        `42["token.price_changed",{"id":"evt_000${n}","type":"token.price_changed","created_at":"2026-11-24T10:00:0${n}Z","data":{"token_id":"tok_xyz789","current_price":10.5${n},"currency":"USD"}},{"cursor":"k3v9x0aa-10${n}","at":176397120${n}000}]`,
      ),
    );
    const [first, ...rest] = events;
    if (first === undefined) throw new Error("no event");
    const held = (sockets: number): Batch<Named> => {
      let batch = new Batch(first, undefined);
      for (let n = 0; n < sockets; n++) batch.hold();
      for (const next of rest) {
        const before = batch;
        for (let n = 0; n < sockets; n++) batch = before.with(next);
      }
      return batch;
    };
    const plain = held(8).wire("plain").length;
    expect(held(8).wire("chained").length).toBeLessThan(0.45 * plain);
    expect(held(2).wire("chained")).toEqual(held(2).wire("deflated"));
    expect(held(2).wire("deflated").length).toBeLessThan(0.75 * plain);
  });
});
