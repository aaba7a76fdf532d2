import { expect, test } from "vitest";
import { Batch } from "./batch.ts";

const frame = (name: string): { name: string; websocket: Buffer } => ({ name, websocket: Buffer.from(name) });
const [a, b, c] = [frame("aa"), frame("b"), frame("ccc")];

test("sockets that wait for the same frames share one batch and one buffer", () => {
  const first = new Batch(a, undefined);
  const [one, other] = [first.with(b), first.with(b)];
  expect(other).toBe(one);
  expect(one.websocket).toBe(other.websocket);
  expect(one.websocket.toString()).toBe("aab");
  expect(one.bytes).toBe(3);
});

test("sockets that wait for different frames have batches of their own", () => {
  const first = new Batch(a, undefined);
  const long = first.with(b).with(c);
  const short = first.with(c);
  expect(long.frames()).toEqual([a, b, c]);
  expect(short.frames()).toEqual([a, c]);
  expect(first.frames()).toEqual([a]);
  expect(short.websocket.toString()).toBe("aaccc");
  expect(long.length).toBe(3);
});

test("one frame goes out as it is, without a copy", () => {
  expect(new Batch(a, undefined).websocket).toBe(a.websocket);
});
